"""One queue before one model, for the windows of all sources.

A batch leaves when it is full or when its oldest window has waited the maximum delay.
The queue is bounded: of a live source only the newest windows wait, and an older one
gives way, which is counted; a source that can wait (a file) is made to.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from langidd.types import Scores, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from langidd.types import Span

LIVE_WAITING: Final = 2
"""Windows of one live source that may wait: one that the end of a segment made comes
close behind the hop's without the machine being slow."""

PATIENT_BATCHES: Final = 2
"""Batches of windows that sources which can wait may have in the queue together."""


class Scorer(Protocol):
    """What scores a batch, in a thread of its own."""

    async def logits(
        self, windows: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32] | None]:
        """A row of logits for each window, None where the model failed on it."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """How a batch went: `windows` in it, the oldest one's wait, the model's time."""

    windows: int
    oldest_wait_s: float
    inference_s: float


@dataclass(frozen=True, slots=True)
class Loss:
    """A window that was not scored: it `gave way` to a newer one, or the model `failed`."""

    span: Span
    reason: str


@dataclass(slots=True)
class _Waiting:
    window: Window
    since: float
    patient: bool
    answer: asyncio.Future[Scores | None]


class Batcher:
    """Takes windows from all sources; `run` feeds the model until it is cancelled."""

    def __init__(
        self,
        scorer: Scorer,
        *,
        max_batch: int,
        max_delay_s: float,
        on_batch: Callable[[BatchReport], None] | None = None,
        on_loss: Callable[[Loss], None] | None = None,
    ) -> None:
        self._scorer = scorer
        self._max_batch = max_batch
        self._max_delay_s = max_delay_s
        self._on_batch = on_batch
        self._on_loss = on_loss
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Condition()

    @property
    def waiting(self) -> int:
        """Windows in the queue now."""
        return len(self._queue)

    @property
    def oldest_wait_s(self) -> float:
        """How long the oldest window in the queue has waited."""
        if not self._queue:
            return 0.0
        return asyncio.get_running_loop().time() - self._queue[0].since

    async def submit(self, window: Window, *, live: bool) -> asyncio.Future[Scores | None]:
        """Queue a window; the answer is its scores, or None where it was lost.

        Returns at once for a live source; else when there is room.
        """
        if live:
            window = self._give_way(window)
        else:
            async with self._room:
                await self._room.wait_for(self._has_room)
        loop = asyncio.get_running_loop()
        entry = _Waiting(window, loop.time(), not live, loop.create_future())
        self._queue.append(entry)
        self._arrived.set()
        return entry.answer

    async def run(self) -> None:
        """Feed the model for ever; raises what the scorer raises."""
        try:
            while True:
                batch = await self._next_batch()
                await self._score(batch)
        finally:
            for entry in self._queue:
                entry.answer.cancel()
            self._queue.clear()

    def _has_room(self) -> bool:
        patient = sum(entry.patient for entry in self._queue)
        return patient < PATIENT_BATCHES * self._max_batch

    def _give_way(self, window: Window) -> Window:
        """Drop the source's oldest waiting window where too many wait.

        The newer window then answers for the older one's new speech too, as far as it
        holds it.
        """
        source = window.span.source
        waiting = [entry for entry in self._queue if entry.window.span.source == source]
        for entry in waiting[: max(0, len(waiting) - LIVE_WAITING + 1)]:
            self._queue.remove(entry)
            older = entry.window.span
            self._lose(entry, "gave way")
            if older.segment == window.span.segment:
                heir = waiting[-1].window if waiting[-1] is not entry else window
                grown = replace(
                    heir.span,
                    new_s=min(heir.span.duration_s, heir.span.new_s + older.new_s),
                    is_first=heir.span.is_first or older.is_first,
                )
                if heir is window:
                    window = replace(window, span=grown)
                else:
                    waiting[-1].window = replace(heir, span=grown)
        return window

    async def _next_batch(self) -> list[_Waiting]:
        loop = asyncio.get_running_loop()
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        leaves_at = self._queue[0].since + self._max_delay_s
        while len(self._queue) < self._max_batch and loop.time() < leaves_at:
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(leaves_at):
                    await self._arrived.wait()
            except TimeoutError:
                break
        batch = [self._queue.popleft() for _ in range(min(self._max_batch, len(self._queue)))]
        async with self._room:
            self._room.notify_all()
        return batch

    async def _score(self, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            rows = await self._scorer.logits([entry.window.samples for entry in batch])
        except BaseException:
            for entry in batch:
                entry.answer.cancel()
            raise
        if self._on_batch:
            self._on_batch(BatchReport(len(batch), started - batch[0].since, loop.time() - started))
        for entry, row in zip(batch, rows, strict=True):
            if row is None:
                self._lose(entry, "failed")
            elif not entry.answer.done():
                entry.answer.set_result(Scores(entry.window.span, row))

    def _lose(self, entry: _Waiting, reason: str) -> None:
        if self._on_loss:
            self._on_loss(Loss(entry.window.span, reason))
        if not entry.answer.done():
            entry.answer.set_result(None)
