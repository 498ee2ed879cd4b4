"""A publishing process that is killed, again and again, and its events."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.support.mosquitto_process import Mosquitto, listen_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PROGRAM = """
import asyncio, itertools, pathlib, sys
sys.path[:0] = sys.argv[4:]
from tests.support.mosquitto_process import decision
from langidd.config import MqttSettings
from langidd.publish.outbox import Outbox
from langidd.publish.mqtt.publisher import MqttPublisher

async def main():
    settings = MqttSettings(host="127.0.0.1", port=int(sys.argv[1]), protocol=sys.argv[3])
    outbox = Outbox(pathlib.Path(sys.argv[2]))
    publisher = MqttPublisher(settings, "home", outbox, lambda _: None)
    running = asyncio.create_task(publisher.run())
    for number in itertools.count():
        publisher.decision(decision(number))
        if number % 3 == 2:
            await outbox.flush()
            # Whatever was flushed is promised from here on.
            print(outbox._sequence, flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""


@asynccontextmanager
async def publishing(
    broker: Mosquitto, place: Path, protocol: str, lines: int
) -> AsyncIterator[int]:
    """A process that publishes; gives the last event promised so far; kill -9 at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(broker.port), str(place), protocol, *sys.path,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        promised = 0
        for _ in range(lines):
            promised = int(await process.stdout.readline())
        yield promised
    finally:
        process.kill()
        await process.wait()


async def test_a_publisher_killed_in_the_middle_loses_no_event_and_no_order(
    tmp_path: Path,
) -> None:
    place = tmp_path / "state"
    async with Mosquitto(tmp_path) as broker, listen_events(broker.port, "s") as listener:
        for protocol, lines in (("5", 10), ("3.1.1", 20)):
            async with publishing(broker, place, protocol, lines):
                pass
        async with publishing(Mosquitto(tmp_path), place, "5", 30):
            pass  # no broker there: everything stays in the outbox
        async with publishing(broker, place, "5", 5) as promised:
            assert promised >= 3 * (10 + 20 + 30 + 5)
            await listener.until(lambda seen: seen.messages[-1].json["sequence"] >= promised)
        seen = list(dict.fromkeys(each.json["sequence"] for each in listener.messages))
        identifiers = {(each.json["sequence"], each.json["id"]) for each in listener.messages}
        # Each at least once, in order, and each under one id only.
        assert seen == list(range(1, len(seen) + 1))
        assert len(identifiers) == len(seen)
