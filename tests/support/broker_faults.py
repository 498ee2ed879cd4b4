"""What happens to the broker and on the way to it."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from tests.support.outcome import ANSWER_S, CONNECT_S, Outcome, allowed_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.house import House


async def _fault(
    house: House,
    kind: str,
    *,
    inject: Callable[[], object],
    heal: Callable[[], Awaitable[object]],
    hold_s: float = 0.0,
    in_flight_s: float = 0.0,
) -> Outcome:
    began = time.monotonic()
    inject()
    await asyncio.sleep(hold_s)
    await heal()
    healed = time.monotonic()
    limit_s = allowed_s(healed - began, in_flight_s=in_flight_s)
    came = await house.witness.next_event(healed, 3 * limit_s + 60)
    return Outcome(kind, "broker", began, healed - began, came - healed, limit_s)


async def _bring_back(house: House) -> None:
    """Start the broker; langidd reaches it once the witness has: it remembers no session."""
    await house.broker.start()
    await house.witness.subscribed()
    await house.proxy.heal()


async def _nothing() -> None:
    """What was cut needs no healing."""


async def broker_killed(house: House, hold_s: float) -> Outcome:
    def kill() -> None:
        house.broker.kill()
        house.witness.missing()
        house.proxy.refuse()

    return await _fault(
        house, "broker: SIGKILL (its state is lost)",
        inject=kill, heal=lambda: _bring_back(house), hold_s=hold_s,
    )  # fmt: skip


async def broker_restarted(house: House, hold_s: float) -> Outcome:
    def end() -> None:
        assert house.broker.process is not None
        house.broker.signal(signal.SIGTERM)
        house.broker.process.wait()
        house.broker.kill()
        house.witness.missing()
        house.proxy.refuse()

    return await _fault(
        house, "broker: SIGTERM, restarted",
        inject=end, heal=lambda: _bring_back(house), hold_s=hold_s,
    )  # fmt: skip


async def broker_frozen(house: House, hold_s: float) -> Outcome:
    async def thaw() -> None:
        house.broker.signal(signal.SIGCONT)

    return await _fault(
        house, "broker: SIGSTOP",
        inject=lambda: house.broker.signal(signal.SIGSTOP), heal=thaw,
        hold_s=hold_s, in_flight_s=ANSWER_S + CONNECT_S,
    )  # fmt: skip


async def broker_frozen_for_long(house: House, hold_s: float) -> Outcome:
    """Longer than langidd waits for an acknowledgement."""
    return await broker_frozen(house, ANSWER_S + hold_s)


async def broker_cut(house: House, _hold_s: float) -> Outcome:
    return await _fault(house, "broker: connection reset", inject=house.proxy.cut, heal=_nothing)


async def broker_unreachable(house: House, hold_s: float) -> Outcome:
    return await _fault(
        house, "broker: connections refused",
        inject=house.proxy.refuse, heal=house.proxy.heal, hold_s=hold_s,
    )  # fmt: skip


async def broker_swallowed(house: House, hold_s: float) -> Outcome:
    return await _fault(
        house, "broker: the network swallows all",
        inject=house.proxy.swallow, heal=house.proxy.heal,
        hold_s=hold_s, in_flight_s=ANSWER_S + CONNECT_S,
    )  # fmt: skip


async def broker_delayed(house: House, hold_s: float) -> Outcome:
    return await _fault(
        house, "broker: 0.5 s of delay",
        inject=lambda: house.proxy.delay(0.5), heal=house.proxy.heal, hold_s=hold_s,
    )  # fmt: skip


async def broker_scrambled(house: House, hold_s: float) -> Outcome:
    return await _fault(
        house, "broker: noise instead of MQTT",
        inject=house.proxy.scramble, heal=house.proxy.heal,
        hold_s=hold_s, in_flight_s=ANSWER_S + CONNECT_S,
    )  # fmt: skip


BROKER_FAULTS = (
    broker_killed,
    broker_restarted,
    broker_frozen,
    broker_frozen_for_long,
    broker_cut,
    broker_unreachable,
    broker_swallowed,
    broker_delayed,
    broker_scrambled,
)
