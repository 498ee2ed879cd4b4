"""The short run: a dozen kinds of fault on one running langidd, and not an event lost.

Each test names what is injected. What may be lost is the sound of the gap, and nothing
else: a subscriber with a persistent session counts the events' sequences. How soon all
is well again is measured, and held against the back-off, by the long run (`make soak`).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.broker_faults import broker_killed, broker_scrambled, broker_swallowed
from tests.support.camera_faults import (
    camera_cut,
    camera_frozen,
    camera_killed,
    camera_scrambled,
    camera_swallowed,
    camera_unreachable,
)
from tests.support.house import House
from tests.support.langidd_faults import (
    clock_set,
    disk_full,
    langidd_killed,
    model_failing,
    outbox_locked,
    reloaded,
)
from tests.support.ledger import Ledger
from tests.support.mosquitto_process import listen_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
HOLD_S = 2.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    stock_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    directory = tmp_path_factory.mktemp("house")
    model = shutil.copytree(stock_model, directory / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"langidd": {"context": "trimmed"}}))
    async with House(directory, cameras=2, radios=1, model=model) as house:
        await house.langidd.until(
            lambda: all(house.langidd.state(name) == "live" for name in house.sources)
        )
        await house.witness.next_event(time.monotonic(), 60)
        yield house


@pytest.fixture(scope="module")
def ledger(house: House) -> Ledger:
    return Ledger(house.witness)


async def test_a_killed_camera_and_one_that_the_network_swallows(
    house: House, ledger: Ledger
) -> None:
    killed, swallowed = house.cameras
    for outcome in await asyncio.gather(
        camera_killed(house, killed, HOLD_S), camera_swallowed(house, swallowed, HOLD_S)
    ):
        ledger.add(outcome)
    assert ledger.losses() == []
    reconnects = await house.langidd.metric("langidd_source_reconnects")
    assert reconnects['{source="radio-0"}'] == 0
    assert reconnects['{source="camera-0"}'] > 0


async def test_a_killed_broker_and_a_camera_that_is_cut(house: House, ledger: Ledger) -> None:
    for outcome in await asyncio.gather(
        broker_killed(house, HOLD_S), camera_cut(house, house.cameras[0], HOLD_S)
    ):
        ledger.add(outcome)
    assert ledger.losses() == []
    # The broker had forgotten everything; what is retained is there again.
    leaves = ("availability", "language", "state")
    wanted = {f"langidd/house/{name}/{leaf}" for name in house.sources for leaf in leaves}
    async with listen_all(house.broker.port) as listener:
        await listener.until(
            lambda heard: wanted <= {each.topic for each in heard.messages if each.retained}
        )


async def test_a_network_that_swallows_mqtt_and_a_camera_that_is_frozen(
    house: House, ledger: Ledger
) -> None:
    for outcome in await asyncio.gather(
        broker_swallowed(house, HOLD_S), camera_frozen(house, house.cameras[1], HOLD_S)
    ):
        ledger.add(outcome)
    assert ledger.losses() == []


async def test_noise_from_the_broker_and_from_a_camera(house: House, ledger: Ledger) -> None:
    for outcome in await asyncio.gather(
        broker_scrambled(house, HOLD_S),
        camera_scrambled(house, house.cameras[0], HOLD_S),
        camera_unreachable(house, house.cameras[1], HOLD_S),
    ):
        ledger.add(outcome)
    assert ledger.losses() == []


async def test_a_full_disk_while_the_broker_is_away(house: House, ledger: Ledger) -> None:
    if not house.disk_is_small:
        pytest.skip("a disk that can be filled is mounted by root only")
    outcome = ledger.add(await disk_full(house, HOLD_S))
    assert ledger.losses() == []
    assert "never noticed" not in outcome.note


async def test_a_clock_that_is_set_and_a_configuration_that_is_broken(
    house: House, ledger: Ledger
) -> None:
    ledger.add(await clock_set(house, 3600.0))
    ledger.add(await reloaded(house, HOLD_S))
    ledger.add(await clock_set(house, 0.0))
    assert ledger.losses() == []


async def test_a_model_that_fails_on_every_window_and_recovers(
    house: House, ledger: Ledger
) -> None:
    ledger.add(await model_failing(house, HOLD_S))
    assert ledger.losses() == []


async def test_an_outbox_that_is_locked_at_the_start_loses_no_event(
    house: House, ledger: Ledger
) -> None:
    ledger.add(await outbox_locked(house, HOLD_S))
    assert ledger.losses() == []


async def test_langidd_is_killed_with_events_in_the_outbox(house: House, ledger: Ledger) -> None:
    ledger.add(await langidd_killed(house, HOLD_S))
    assert ledger.losses() == []
    print(ledger.table())  # noqa: T201 - for whoever asks with -s
