"""Training of langidd's classifier: from recordings to a packaged checkpoint.

Each step is a command of `langidd-train` and reads and writes files under
`runs/<name>/`: `prepare`, `train`, `calibrate`, `evaluate`, `report`, `push`.
"""
