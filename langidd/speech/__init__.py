"""From chunks to windows: voice activity, segments, windows.

Everything here is pure but `vad_worker`, the thread in which voice activity is computed.
"""
