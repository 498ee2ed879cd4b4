"""langidd beside other programs that name a language, on the same clips in one run.

The clips are the demo's conversation, cut into 4 s of one language each. All programs take turns
in one process, on the same cores; printed are the median of the rounds and how many clips each
names rightly. The packages are installed into an environment that this script makes, beside
the one of the project.

usage: python benchmarks/peers.py --whisper DIR [--rounds 7]

DIR holds whisper-base as faster-whisper reads it; or a name, such as `base`, which it downloads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Clips = list[Any]
    Name = Callable[[Clips], list[str]]

ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = ROOT / ".venv-peers"
PACKAGES: Final = ("faster-whisper>=1.2,<1.3", "torch", "transformers>=5.4,<6")

MODEL: Final = "uz-ru-en"
SPOKEN: Final = (("uz", 0.5, 9.4), ("ru", 9.5, 22.5), ("en", 22.6, 31.0))
"""What is spoken from when to when (langidd/demo/README.md)."""
CLIP_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that names the languages of clips; the clips are `(n,) float32` at 16 kHz."""

    name: str
    languages: Name


def main() -> None:
    """Make the environment and go on there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--whisper", required=True, metavar="DIR", help="whisper-base, or a name")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if Path(sys.prefix) != ENVIRONMENT:
        python = _environment()
        raise SystemExit(subprocess.call([python, __file__, *sys.argv[1:]]))  # noqa: S603
    _measure(arguments.whisper, arguments.rounds)


def _environment() -> Path:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", str(ENVIRONMENT)])  # noqa: S603
    command = [str(python), "-m", "pip", "install", "--quiet", str(ROOT), *PACKAGES]
    subprocess.check_call(command)  # noqa: S603
    return python


def _measure(whisper: str, rounds: int) -> None:
    clips, truth = _clips()
    peers = [_langidd("auto"), _langidd("f32"), _pipeline()]
    peers += [_faster_whisper(whisper, kind) for kind in ("float32", "int8")]
    times: dict[str, list[float]] = {peer.name: [] for peer in peers}
    right: dict[str, int] = {}
    for peer in peers:  # prepares it, too
        named = peer.languages(clips)
        right[peer.name] = sum(ours == theirs for ours, theirs in zip(named, truth, strict=True))
    for _ in range(rounds):
        for peer in peers:
            began = time.perf_counter()
            peer.languages(clips)
            times[peer.name].append((time.perf_counter() - began) / len(clips))
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = medians[peers[0].name]
    print(
        f"{len(clips)} clips of {CLIP_S:g} s, {len(os.sched_getaffinity(0))} cores, load "
        f"{os.getloadavg()[0]:.1f}; median of {rounds}"
    )
    for name, seconds in medians.items():
        print(
            f"{name:54s} {1e3 * seconds:8.1f} ms a clip {seconds / first:7.1f} times"
            f"   {right[name]} of {len(clips)} right"
        )


def _clips() -> tuple[Clips, list[str]]:
    import av
    import numpy as np

    with av.open(str(ROOT / "langidd" / "demo" / "conversation.ogg")) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        frames = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    sound = np.concatenate(frames)
    clips, truth = [], []
    for language, start_s, end_s in SPOKEN:
        for at_s in np.arange(start_s, end_s - CLIP_S, CLIP_S):
            first = round(at_s * 16_000)
            clips.append(sound[first : first + round(CLIP_S * 16_000)].copy())
            truth.append(language)
    return clips, truth


def _langidd(precision: Any) -> Peer:
    from langidd.model.whisper.openvino_engine import load_engine

    engine = load_engine(MODEL, precision=precision)

    def languages(clips: Clips) -> list[str]:
        return [engine.labels[best] for best in engine.logits(clips).argmax(axis=1)]

    return Peer(f"langidd {version('langidd')}, {engine.precision}", languages)


def _pipeline() -> Peer:
    from transformers import pipeline

    from langidd.model.whisper.location import locate

    task: Any = pipeline("audio-classification", model=str(locate(MODEL)))

    def languages(clips: Clips) -> list[str]:
        sounds = [{"raw": clip, "sampling_rate": 16_000} for clip in clips]
        return [found[0]["label"] for found in task(sounds, batch_size=len(sounds))]

    return Peer(f"transformers {version('transformers')}, the same model, 30 s", languages)


def _faster_whisper(whisper: str, kind: str) -> Peer:
    from faster_whisper import WhisperModel

    model = WhisperModel(
        whisper, device="cpu", compute_type=kind, cpu_threads=len(os.sched_getaffinity(0))
    )

    def languages(clips: Clips) -> list[str]:
        return [model.detect_language(clip)[0] for clip in clips]

    return Peer(f"faster-whisper {version('faster-whisper')}, whisper-base, {kind}", languages)


if __name__ == "__main__":
    main()
