"""Imported by a Python that finds this directory on PYTHONPATH: its wall clock can be set.

`time.time` is off by the seconds that the file $FAULTY_CLOCK holds, as if somebody had
set the system's clock; the monotonic clock goes on, as it does then.
"""

import os
import time

_real = time.time
_file = os.environ["FAULTY_CLOCK"]
_read_at = 0.0
_offset_s = 0.0


def _faulty() -> float:
    global _read_at, _offset_s  # noqa: PLW0603 - there is one clock
    if time.monotonic() - _read_at > 0.05:
        _read_at = time.monotonic()
        with open(_file, encoding="ascii") as file:  # noqa: PTH123 - too early for pathlib
            _offset_s = float(file.read() or 0)
    return _real() + _offset_s


time.time = _faulty
