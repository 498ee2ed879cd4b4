"""One queue before the model, for the windows of all sources.

Sources take turns, a window each, so that none gets more of a slow model than another. A
batch leaves when it is full or when its oldest window has waited the maximum delay. The
queue is bounded: of a live source only the newest windows wait, and older ones are dropped,
which is counted; a source that can wait (a file) has to (backpressure).

Everything that happens to a window takes constant time, however many sources there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from langidd.types import DroppedWindow, Scores, Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from langidd.model.base import Model

LIVE_WAITING: Final = 2
"""Windows of a live source that may wait: the one that the end of a segment makes comes soon
after the last hop's, also where the model is fast enough."""

FILE_BATCHES: Final = 2
"""Batches of windows that sources which can wait may have in the queue together."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """How a batch went.

    Attributes:
        windows: How many were in it.
        oldest_wait_s: How long the oldest had waited when it left.
        inference_s: The model's time.

    """

    windows: int
    oldest_wait_s: float
    inference_s: float


@dataclass(slots=True)
class _Entry:
    """A window that waits since the event loop's time `since`; `hop_s` brought it."""

    window: Window
    since: float
    hop_s: float
    live: bool
    answer: asyncio.Future[Scores | None]


class Batcher:
    """Takes windows of all sources; `run` feeds the model until it is cancelled."""

    def __init__(
        self,
        model: Model,
        *,
        max_batch: int,
        max_delay_s: float,
        on_batch: Callable[[BatchReport], None] | None = None,
        on_dropped: Callable[[DroppedWindow], None] | None = None,
    ) -> None:
        """Prepare a queue; the model must be started before `run`.

        Args:
            model: Scores the batches; as many at a time as its `info()` says.
            max_batch: Windows in a batch at most.
            max_delay_s: How long a window waits for others.
            on_batch: Called after each batch.
            on_dropped: Called with each window that gets no scores, before its answer, and
                in the order of each source's windows: `overload` where a newer one took
                its place, `failed` where the model failed on it. With the scores that
                streams pass on, this tells whether the model does its work.

        """
        self._model = model
        self._max_batch = max_batch
        self._max_delay_s = max_delay_s
        self._on_batch = on_batch
        self._on_dropped = on_dropped
        self._lanes: dict[str, deque[_Entry]] = {}
        self._turns: deque[str] = deque()
        self._waiting = 0
        self._scoring: dict[int, float] = {}
        self._arrived = asyncio.Event()
        self._room = asyncio.Semaphore(FILE_BATCHES * max_batch)

    @property
    def waiting(self) -> int:
        """Windows in the queue now."""
        return self._waiting

    @property
    def oldest_wait_s(self) -> float:
        """How long the windows that wait longest, in the queue or in the model, have waited."""
        since = [*self._scoring.values()]
        if self._turns:
            since.append(self._lanes[self._turns[0]][0].since)
        return asyncio.get_running_loop().time() - min(since) if since else 0.0

    async def submit(self, window: Window, *, live: bool) -> asyncio.Future[Scores | None]:
        """Queue a window.

        Args:
            window: The source's next one.
            live: Return at once, and drop the source's oldest where too many wait; else
                return when there is room.

        Returns:
            A future of the window's scores, or of None where it was dropped.

        """
        if not live:
            await self._room.acquire()
        loop = asyncio.get_running_loop()
        entry = _Entry(window, loop.time(), window.span.new_s, live, loop.create_future())
        source = window.span.source
        lane = self._lanes.get(source)
        if lane is None:
            lane = self._lanes[source] = deque()
            self._turns.append(source)
        lane.append(entry)
        self._waiting += 1
        if live and len(lane) > LIVE_WAITING:
            self._drop_oldest(lane)
        self._arrived.set()
        return entry.answer

    async def run(self) -> None:
        """Feed the model until cancelled; raises what the model raises."""
        slots = asyncio.Semaphore(self._model.info().in_flight)
        try:
            async with asyncio.TaskGroup() as batches:
                while True:
                    await slots.acquire()
                    batch = await self._next_batch()
                    task = batches.create_task(self._score(batch))
                    task.add_done_callback(lambda _: slots.release())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            for lane in self._lanes.values():
                for entry in lane:
                    entry.answer.cancel()
            self._lanes.clear()
            self._turns.clear()
            self._waiting = 0

    async def _next_batch(self) -> list[_Entry]:
        """Wait for a full batch, or until the oldest window has waited long enough."""
        loop = asyncio.get_running_loop()
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        leaves_at = self._lanes[self._turns[0]][0].since + self._max_delay_s
        while self._waiting < self._max_batch and loop.time() < leaves_at:
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(leaves_at):
                    await self._arrived.wait()
            except TimeoutError:
                break
        batch: list[_Entry] = []
        while self._waiting and len(batch) < self._max_batch:
            batch.append(self._take(loop.time()))
        return batch

    def _take(self, now: float) -> _Entry:
        """Take a window of the source whose turn it is, which then goes to the end."""
        source = self._turns.popleft()
        lane = self._lanes[source]
        oldest = lane[0]
        # Where a newer one waits, a window that has waited for over a hop is out of date.
        if oldest.live and len(lane) > 1 and now - oldest.since > oldest.hop_s:
            self._drop_oldest(lane)
        entry = lane.popleft()
        self._waiting -= 1
        if lane:
            self._turns.append(source)
        else:
            del self._lanes[source]
        if not entry.live:
            self._room.release()
        return entry

    def _drop_oldest(self, lane: deque[_Entry]) -> None:
        """Drop a source's oldest waiting window; the next one takes on its new speech.

        It does so as far as it contains that speech, so that speech still counts once.
        """
        dropped = lane.popleft()
        self._waiting -= 1
        older, newer = dropped.window.span, lane[0].window.span
        if older.segment == newer.segment:
            span = replace(
                newer,
                new_s=min(newer.duration_s, newer.new_s + older.new_s),
                is_first=newer.is_first or older.is_first,
            )
            lane[0].window = replace(lane[0].window, span=span)
        self._give_none(dropped, "overload")

    async def _score(self, batch: list[_Entry]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        oldest = min(entry.since for entry in batch)
        self._scoring[id(batch)] = oldest
        try:
            found = await self._model.score([entry.window for entry in batch])
        except BaseException:
            for entry in batch:
                entry.answer.cancel()
            raise
        finally:
            del self._scoring[id(batch)]
        if self._on_batch:
            self._on_batch(BatchReport(len(batch), started - oldest, loop.time() - started))
        for entry, scores in zip(batch, found, strict=True):
            if scores is None:
                self._give_none(entry, "failed")
            elif not entry.answer.done():
                entry.answer.set_result(scores)

    def _give_none(self, entry: _Entry, reason: Literal["overload", "failed"]) -> None:
        if self._on_dropped:
            self._on_dropped(DroppedWindow(entry.window.span, reason))
        if not entry.answer.done():
            entry.answer.set_result(None)
