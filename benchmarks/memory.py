"""Whether langidd grows: many hours of sound through the real daemon, at full speed.

Files in a loop go through decoding, voice detection, windows, batches, the model, the
decider and MQTT (langidd's own broker) in one process, as in `langidd run`; after each
hour of sound of every source the resident memory is printed. The model is a tiny one of
random weights: what could grow lies elsewhere, and a day of sound for 8 sources should
not take a day.

usage: python benchmarks/memory.py [--sources 8] [--hours 24] [--minutes 15]
                                   [--engine webrtc] [--hop 1.0] [--model DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from langidd.config import load_settings
from langidd.service.daemon import Daemon
from tests.support.tiny_model import write_tiny_model

ROOT = Path(__file__).resolve().parent.parent

RECORDING = ROOT / "langidd" / "demo" / "conversation.ogg"
HOUR_S = 3600.0
ALLOWED = 1.05
"""Of the size after the first hour, at the end."""


@dataclass(frozen=True, slots=True)
class Look:
    """Memory at a moment: `heard_h` of every source, `rss_mib` resident."""

    heard_h: float
    rss_mib: float
    after_s: float


def rss_mib() -> float:
    """Resident memory now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


def heard_h(daemon: Daemon, names: list[str]) -> float:
    """Hours that every source has given at least."""
    read = daemon.metrics.registry.get_sample_value
    return (
        min(read("langidd_audio_seconds_total", {"source": name}) or 0 for name in names) / HOUR_S
    )


async def watch(daemon: Daemon, names: list[str], hours: float, seconds: float) -> list[Look]:
    """Look every hour of sound, until there were enough or time is up; ends the daemon."""
    began = time.monotonic()
    looks: list[Look] = []
    work = asyncio.create_task(daemon.run())
    while not work.done():
        await asyncio.sleep(1.0)
        heard, after = heard_h(daemon, names), time.monotonic() - began
        over = heard >= hours or after > seconds
        if heard >= len(looks) + 1 or over:
            looks.append(Look(heard, rss_mib(), after))
            print(
                f"{heard:6.2f} h x {len(names)} sources  {looks[-1].rss_mib:7.1f} MiB"
                f"  {heard * HOUR_S * len(names) / after:5.0f} x real time",
                flush=True,
            )
        if over:
            daemon.stop()
            break
    await work
    return looks


def main() -> int:
    """Print memory over hours; exits with 1 where it grew by more than 5 %."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sources", type=int, default=8)
    parser.add_argument("--hours", type=float, default=24.0, help="of sound of each source")
    parser.add_argument("--minutes", type=float, default=15.0, help="at most")
    parser.add_argument("--engine", default="webrtc", choices=("webrtc", "silero", "both"))
    parser.add_argument("--hop", type=float, default=1.0, help="seconds between windows")
    parser.add_argument("--model", help="a checkpoint; a tiny random one if not given")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    names = [f"file-{number}" for number in range(arguments.sources)]
    with tempfile.TemporaryDirectory() as place:
        model = arguments.model or write_tiny_model(Path(place) / "model")
        settings = load_settings(
            None,
            {
                "node": "memory",
                "state_directory": place,
                "model": {"path": str(model), "device": "cpu", "threads": 1},
                "vad": {"engine": arguments.engine},
                "windows": {"hop_s": arguments.hop},
                "sources": [{"name": name, "file": str(RECORDING), "loop": True} for name in names],
            },
            environment=False,
        )
        looks = asyncio.run(watch(Daemon(settings), names, arguments.hours, 60 * arguments.minutes))
    later = [look for look in looks if look.heard_h >= 1]
    if len(later) < 2:
        print("less than two hours of each source: nothing to compare")
        return 0
    growth = later[-1].rss_mib / later[0].rss_mib
    print(
        f"after {later[0].heard_h:.1f} h {later[0].rss_mib:.1f} MiB, "
        f"after {later[-1].heard_h:.1f} h "
        f"{later[-1].rss_mib:.1f} MiB: {100 * (growth - 1):+.1f} %"
    )
    return 0 if growth <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
