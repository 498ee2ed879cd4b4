"""How fast langidd scores windows, beside the machine's limit and beside its peers.

All in one run, on one machine, on the same real speech:

- limit: a bare matrix product of the encoder's largest shape (GFLOP/s);
- trimmed: the shipped checkpoint on 2 s windows, batches of 8;
- padded: the same checkpoint padded to 30 s, as a stock checkpoint is run;
- transformers: the stock `WhisperForAudioClassification` forward and feature extractor;
- faster-whisper: `detect_language`, where that package and a model directory are given.

usage: python benchmarks/throughput.py [--model NAME] [--faster-whisper DIR] [--repeat N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from langidd.model.whisper.checkpoint import checkpoint_folder
from langidd.model.whisper.torch_engine import load_classifier
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

RECORDING = Path(__file__).parent.parent / "langidd" / "demo" / "conversation.ogg"
WINDOW_S = 2.0
BATCH = 8


def speech() -> list[npt.NDArray[np.float32]]:
    """Windows of real speech, as long as the daemon makes them."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    with av.open(str(RECORDING)) as container:
        frames = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    sound = np.concatenate(frames)
    length = int(WINDOW_S * SAMPLE_RATE)
    return [sound[first : first + length] for first in range(0, BATCH * length, length)]


def seconds(work: Callable[[], object], repeat: int) -> float:
    """The median time of some runs after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def encoder_gflop(config: object, positions: int) -> float:
    """Multiply-adds of one encoder pass, times two (convolutions, attention, feed-forward)."""
    width, depth = config.d_model, config.encoder_layers  # type: ignore[attr-defined]
    hidden, mels = config.encoder_ffn_dim, config.num_mel_bins  # type: ignore[attr-defined]
    convolutions = 2 * positions * 3 * mels * width + positions * 3 * width * width
    layer = positions * (4 * width * width + 2 * width * hidden) + 2 * positions**2 * width
    return 2 * (convolutions + depth * layer) / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="uz-ru-en")
    parser.add_argument("--faster-whisper", type=Path)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    windows = speech()
    place = checkpoint_folder(arguments.model)

    stock = AutoModelForAudioClassification.from_pretrained(place, dtype="float32").eval()
    config = stock.config
    positions = int(WINDOW_S * 50)
    left = torch.randn(BATCH * positions, config.d_model)
    right = torch.randn(config.d_model, config.encoder_ffn_dim)
    limit_s = seconds(lambda: left @ right, 50)
    limit = 2 * left.numel() * config.encoder_ffn_dim / limit_s / 1e9
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, model {arguments.model}")
    print(f"limit: a bare matrix product runs at {limit:.0f} GFLOP/s")

    rows: list[tuple[str, float, float]] = []
    for context, length in (("trimmed", positions), ("padded", config.max_source_positions)):
        classifier = load_classifier(arguments.model, device="cpu", context=context)
        took = seconds(lambda it=classifier: it.logits(windows), arguments.repeat) / BATCH
        rows.append((f"langidd, {context}", took, encoder_gflop(config, length)))

    extractor = AutoFeatureExtractor.from_pretrained(place)

    def peer() -> None:
        features = extractor(windows, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            stock(features.input_features)

    took = seconds(peer, arguments.repeat) / BATCH
    rows.append(("transformers, stock", took, encoder_gflop(config, config.max_source_positions)))
    if arguments.faster_whisper:
        from faster_whisper import WhisperModel

        whisper = WhisperModel(str(arguments.faster_whisper), device="cpu", compute_type="float32")
        took = seconds(lambda: [whisper.detect_language(each) for each in windows], 3) / BATCH
        rows.append(("faster-whisper base, detect_language", took, float("nan")))

    base = rows[0][1]
    for name, took, gflop in rows:
        share = f"{gflop / took / limit:5.0%} of the limit" if gflop == gflop else ""  # noqa: PLR0124 - not a number
        print(f"{name:38} {1000 * took:7.1f} ms a window  {took / base:5.1f} x  {share}")


if __name__ == "__main__":
    main()
