"""OpenVINO without its telemetry.

`import openvino` loads a package that looks for the user's consent to be counted. It fails where
a service has no home directory, and langidd sends nothing about its use to anyone: OpenVINO
takes its own stand-in where the package cannot be imported.
"""

from __future__ import annotations

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # None makes its import fail

import openvino as ov  # noqa: E402 - after what it must not load
from openvino import opset13 as op  # noqa: E402 - the same

__all__ = ["op", "ov"]
