"""The roster, with channels that end in every way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from langidd.config import SourceSettings
from langidd.service import pool as roster

if TYPE_CHECKING:
    from pathlib import Path

    from langidd.service.stream import Channel


class Stubborn:
    """A channel that ends when it is told to, or only when it is cancelled."""

    def __init__(self, *, obeys: bool) -> None:
        self._obeys = obeys
        self._told = asyncio.Event()
        self.at_work = asyncio.Event()

    async def run(self) -> None:
        self.at_work.set()
        await self._told.wait()

    def end(self) -> None:
        if self._obeys:
            self._told.set()


@pytest.mark.parametrize("obeys", [True, False])
async def test_who_is_dismissed_has_neither_ended_nor_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, obeys: bool
):
    monkeypatch.setattr(roster, "DRAIN_S", 0.05)
    channel = Stubborn(obeys=obeys)
    house = roster.Roster(lambda _: cast("Channel", channel))
    house.employ(SourceSettings(name="radio", file=tmp_path))
    await channel.at_work.wait()

    dismissal = asyncio.create_task(house.dismiss(house.posts.values()))
    while not dismissal.done():
        assert house.posts  # somebody is still there: the daemon goes on
        await asyncio.sleep(0)
        house.collect()  # as the main loop does whenever a task is done

    assert not house.posts
    assert (house.played, house.failures) == (0, [])
