"""What the tests share: where real speech lies, which system parts are here, a stock model."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

from langidd.observability.logging import Handler
from tests.support.demo_speech import write_demo_speech

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

# A shell that starts tests in the background has them ignore Ctrl-C, and so would every process
# that a test starts, also those whose answer to Ctrl-C is what is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow; how long one example takes says nothing of what is tested.
settings.register_profile("langidd", deadline=None)
settings.load_profile("langidd")

ROOT = Path(__file__).parent.parent
DEMO_RECORDING = ROOT / "langidd" / "demo" / "conversation.ogg"
PARTS = {
    "mosquitto": ("mosquitto", "apt install mosquitto mosquitto-clients"),
    "mosquitto_sub": ("mosquitto_sub", "apt install mosquitto-clients"),
    "ffmpeg": ("ffmpeg", "apt install ffmpeg"),
    "espeak-ng": ("espeak-ng", "apt install espeak-ng"),
    "RHVoice-test": ("RHVoice-test", "apt install rhvoice rhvoice-kyrgyz, Debian's non-free"),
    "openssl": ("openssl", "apt install openssl"),
    "systemd-analyze": ("systemd-analyze", "apt install systemd"),
    "pulseaudio": ("pulseaudio", "apt install pulseaudio"),
}


def require(part: str) -> None:
    """Skip the test where a system part is missing; fail it where all were promised."""
    if part == "portaudio":
        missing = _portaudio_fault()
    elif part == "gst-rtsp-server":
        missing = _gstreamer_fault()
    else:
        command, advice = PARTS[part]
        missing = None if shutil.which(command) else f"{part} is not installed ({advice})"
    if missing is None:
        return
    if os.environ.get("LANGIDD_REQUIRE_ALL") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


def _portaudio_fault() -> str | None:
    try:
        importlib.import_module("sounddevice")
    except OSError as error:
        return f"PortAudio is not installed ({error}; apt install libportaudio2)"
    return None


def _gstreamer_fault() -> str | None:
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    python = Path("/usr/bin/python3")
    if (
        python.exists()
        and not subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode
    ):
        return None
    return (
        "GStreamer's RTSP server is not installed (apt install gir1.2-gst-rtsp-server-1.0 "
        "python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav)"
    )


SHARED = Path(os.environ.get("LANGIDD_SHARED", ROOT.parent / "shared"))
"""Corpora and weights that are not the project's to ship."""


def shared(part: str) -> Path:
    """A directory of `SHARED`; without it the test is skipped, or fails where all was promised."""
    if not (SHARED / part).is_dir():
        message = (
            f"needs {part}/ in {SHARED}: Common Voice's clips of uz, ru, en and others "
            "(https://datacollective.mozillafoundation.org), or whisper-base's encoder; "
            "LANGIDD_SHARED names another directory"
        )
        if os.environ.get("LANGIDD_REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return SHARED / part


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Commands that a test runs in this process set up logging for themselves, not for the next."""
    root = logging.getLogger()
    level = root.level
    levels = {name: logging.getLogger(name).level for name in list(root.manager.loggerDict)}
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    for handler in [each for each in root.handlers if isinstance(each, Handler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def speech(conversation: npt.NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real speech in Common Voice's layout, `<language>/clips` beside `<language>/dev.tsv`.

    The corpora where they are at hand, otherwise seconds of the recording that is shipped.
    """
    if (SHARED / "speech").is_dir():
        return SHARED / "speech"
    return write_demo_speech(conversation, tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Hundreds of voices in Common Voice's layout, for what seconds of speech cannot show."""
    return shared("speech")


@pytest.fixture(scope="session")
def encoder_weights() -> Path:
    """The real Whisper-base encoder, without a head."""
    return shared("weights/whisper-base-encoder")


@pytest.fixture(scope="session")
def conversation() -> npt.NDArray[np.float32]:
    """The demo's recording, `(n,) float32` at 16 kHz: Uzbek, Russian, English."""
    import av

    with av.open(str(DEMO_RECORDING)) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        frames = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    return np.concatenate(frames)


@pytest.fixture(scope="session")
def stock_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stock checkpoint of random weights, saved as anybody's fine-tuned Whisper is."""
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

    torch.manual_seed(0)
    config = WhisperConfig(
        num_mel_bins=80,
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=128,
        vocab_size=100,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
        classifier_proj_size=32,
        id2label={0: "uz", 1: "ru", 2: "en"},
        label2id={"uz": 0, "ru": 1, "en": 2},
        init_std=0.2,
    )
    place = tmp_path_factory.mktemp("stock")
    WhisperForAudioClassification(config).save_pretrained(place)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(place)
    return place
