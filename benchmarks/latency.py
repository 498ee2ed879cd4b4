"""How long after somebody begins to speak langidd says which language it is.

The real daemon plays the demo's recording at the pace of the clock, on `--sources`
sources at once, and what it decides is held against where the languages really begin.
Printed beside it: the model's share of that time, and the event loop's worst lag.

usage: python benchmarks/latency.py [--sources N] [--model NAME] [--preset NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langidd.config import Settings
from langidd.service.daemon import Daemon

if TYPE_CHECKING:
    from langidd.types import Decision, Health

RECORDING: Final = Path(__file__).parent.parent / "langidd" / "demo" / "conversation.ogg"
TRUTH: Final = ((0.5, "uz"), (9.44, "ru"), (22.52, "en"))
"""Where each language begins in the recording (langidd/demo/README.md)."""


async def measure(arguments: argparse.Namespace) -> None:
    """Play, listen, print."""
    started: dict[str, float] = {}
    delays: dict[str, list[float]] = {language: [] for _, language in TRUTH}
    wrong = 0
    pending = {f"s{number}": list(TRUTH) for number in range(arguments.sources)}

    def on_health(health: Health) -> None:
        if health.state == "live":
            started.setdefault(health.source, time.time())

    def on_decision(decision: Decision) -> None:
        nonlocal wrong
        if decision.reason != "change" or decision.language in {"und", "zxx"}:
            return
        waiting = pending[decision.source]
        if not waiting or decision.language != waiting[0][1]:
            wrong += 1
            return
        onset, language = waiting.pop(0)
        delays[language].append(time.time() - started[decision.source] - onset)

    settings = Settings.model_validate(
        {
            "node": "benchmark",
            "model": {"path": arguments.model},
            "decision": {"preset": arguments.preset},
            "sources": [
                {"name": name, "file": str(RECORDING), "realtime": True} for name in pending
            ],
        }
    )
    daemon = Daemon(settings, on_decision=on_decision, on_health=on_health, publish=False)
    await daemon.run()
    print(f"{arguments.sources} sources, preset {arguments.preset}")
    for _, language in TRUTH:
        values = delays[language]
        if values:
            print(
                f"{language}: named {len(values)} of {arguments.sources} times, after "
                f"{statistics.median(values):.2f} s (median), {max(values):.2f} s (worst)"
            )
        else:
            print(f"{language}: never named")
    print(f"other changes of language: {wrong}")
    print(f"event loop: worst lag {1000 * daemon.metrics.worst_lag_s:.0f} ms")
    registry = daemon.metrics.registry
    spent = registry.get_sample_value("langidd_inference_seconds_sum") or 0.0
    batches = registry.get_sample_value("langidd_inference_seconds_count") or 0.0
    windows = registry.get_sample_value("langidd_batch_windows_sum") or 0.0
    print(
        f"model: {windows:.0f} windows in {batches:.0f} batches, "
        f"{1000 * spent / max(1.0, batches):.0f} ms a batch"
    )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--model", default="uz-ru-en")
    parser.add_argument("--preset", default="balanced")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
