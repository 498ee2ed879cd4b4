"""OpenVINO is used without its telemetry, and without a home directory."""

from __future__ import annotations

import os
import subprocess
import sys

LOAD = """
import os, pwd, sys
from unittest import mock
with mock.patch.object(pwd, "getpwuid", side_effect=KeyError("no such user")):
    from langidd.model.whisper.openvino_engine import load_engine
    from langidd.speech.silero import SileroNetwork
    load_engine("uz-ru-en")
    SileroNetwork()
assert sys.modules["openvino_telemetry"] is None
"""


def test_the_model_loads_where_there_is_no_home_and_counts_nobody() -> None:
    homeless = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=homeless, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
