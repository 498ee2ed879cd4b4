"""What happens to cameras: killed, frozen, cut off, swallowed, drowned in noise."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from tests.support.outcome import ANSWER_S, Outcome, allowed_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.house import House
    from tests.support.killable_camera import Camera


async def _fault(
    house: House,
    camera: Camera,
    kind: str,
    *,
    inject: Callable[[], object],
    heal: Callable[[], Awaitable[object]],
    hold_s: float = 0.0,
    in_flight_s: float = 0.0,
) -> Outcome:
    langidd, began = house.langidd, time.monotonic()
    inject()
    # The end of a connection is seen at once; silence after the stall time.
    await langidd.until(lambda: langidd.state(camera.name) != "live")
    await asyncio.sleep(max(0.0, hold_s - (time.monotonic() - began)))
    await heal()
    healed = time.monotonic()
    limit_s = allowed_s(healed - began, in_flight_s=in_flight_s)
    await langidd.until(
        lambda: langidd.looked_at > healed and langidd.state(camera.name) == "live",
        3 * limit_s + 60,
    )
    return Outcome(kind, camera.name, began, healed - began, time.monotonic() - healed, limit_s)


async def _nothing() -> None:
    """What was cut needs no healing."""


async def camera_killed(house: House, camera: Camera, hold_s: float) -> Outcome:
    return await _fault(
        house, camera, "camera: SIGKILL, restarted",
        inject=camera.kill, heal=camera.start, hold_s=hold_s,
    )  # fmt: skip


async def camera_frozen(house: House, camera: Camera, hold_s: float) -> Outcome:
    async def thaw() -> None:
        camera.signal(signal.SIGCONT)

    return await _fault(
        house, camera, "camera: SIGSTOP (silent, nothing closed)",
        inject=lambda: camera.signal(signal.SIGSTOP), heal=thaw, hold_s=hold_s,
        in_flight_s=ANSWER_S,
    )  # fmt: skip


async def camera_cut(house: House, camera: Camera, _hold_s: float) -> Outcome:
    return await _fault(
        house, camera, "camera: connection reset", inject=camera.proxy.cut, heal=_nothing
    )


async def camera_unreachable(house: House, camera: Camera, hold_s: float) -> Outcome:
    return await _fault(
        house, camera, "camera: connections refused",
        inject=camera.proxy.refuse, heal=camera.proxy.heal, hold_s=hold_s,
    )  # fmt: skip


async def camera_swallowed(house: House, camera: Camera, hold_s: float) -> Outcome:
    return await _fault(
        house, camera, "camera: the network swallows all",
        inject=camera.proxy.swallow, heal=camera.proxy.heal, hold_s=hold_s, in_flight_s=ANSWER_S,
    )  # fmt: skip


async def camera_scrambled(house: House, camera: Camera, hold_s: float) -> Outcome:
    return await _fault(
        house, camera, "camera: noise instead of RTSP",
        inject=camera.proxy.scramble, heal=camera.proxy.heal, hold_s=hold_s, in_flight_s=ANSWER_S,
    )  # fmt: skip


CAMERA_FAULTS = (
    camera_killed,
    camera_frozen,
    camera_cut,
    camera_unreachable,
    camera_swallowed,
    camera_scrambled,
)
