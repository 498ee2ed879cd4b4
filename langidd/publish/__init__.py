"""Ways out: decisions and health go to every publisher that the settings ask for.

`base` is the protocol, `registry` the list of publishers, `fan_out` the one that the service
talks to, `messages` the JSON that they all send.
"""
