"""One source on its way through: from its chunks to its decisions.

The reading side never waits for the model: it queues windows, and the deciding side
takes their scores, and the pauses between them, in the order of time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from langidd.types import Pause, Scores, Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langidd.decision.decider import Decider
    from langidd.model.batcher import Batcher
    from langidd.speech.frontend import Listener
    from langidd.types import Chunk, Decision

log = logging.getLogger(__name__)

LIVE_BACKLOG: Final = 256
"""Windows and pauses that may wait for their turn; beyond it the source's own queue fills."""

PATIENT_BACKLOG: Final = 64

Item = Pause | asyncio.Future[Scores | None]


class Channel:
    """A source's chunks, its listener and its decider, with the batcher between them.

    on_decision and on_scores are called in the event loop, in order. `moved_at` is the
    loop's time at which sound last went through, for the watchdog.
    """

    def __init__(
        self,
        name: str,
        chunks: Callable[[], AsyncGenerator[Chunk]],
        listener: Listener,
        decider: Decider,
        batcher: Batcher,
        *,
        live: bool,
        on_decision: Callable[[Decision], None],
        on_scores: Callable[[Scores, Decision], None] | None = None,
        on_sound: Callable[[Chunk], None] | None = None,
    ) -> None:
        self.name = name
        self.moved_at: float | None = None
        self._chunks = chunks
        self._listener = listener
        self._decider = decider
        self._batcher = batcher
        self._live = live
        self._on_decision = on_decision
        self._on_scores = on_scores
        self._on_sound = on_sound
        self._ending = False
        self._listening: asyncio.Task[None] | None = None
        self._items: asyncio.Queue[Item | None] = asyncio.Queue(
            LIVE_BACKLOG if live else PATIENT_BACKLOG
        )

    async def run(self) -> None:
        """Go on until the source has ended and everything of it is decided."""
        async with asyncio.TaskGroup() as both:
            self._listening = both.create_task(self._listen(), name=f"{self.name}: listen")
            both.create_task(self._decide(), name=f"{self.name}: decide")

    def end(self) -> None:
        """Hear no more; `run` returns once what was heard is decided."""
        self._ending = True
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self) -> None:
        try:
            await self._hear()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._ending or task is None:
                raise
            task.uncancel()
        await self._queue(self._listener.flush())
        await self._items.put(None)

    async def _hear(self) -> None:
        chunks = self._chunks()
        try:
            async for chunk in chunks:
                if self._on_sound:
                    self._on_sound(chunk)
                await self._queue(self._listener.push(chunk))
                # A file's chunks are always ready: without this the loop would not turn.
                await asyncio.sleep(0)
        finally:
            await chunks.aclose()

    async def _queue(self, items: list[Window | Pause]) -> None:
        for item in items:
            if isinstance(item, Window):
                await self._items.put(await self._batcher.submit(item, live=self._live))
            else:
                await self._items.put(item)

    async def _decide(self) -> None:
        while (item := await self._items.get()) is not None:
            if isinstance(item, Pause):
                paused = self._decider.pause(item)
                if paused is not None:
                    self._on_decision(paused)
            else:
                scores = await item
                if scores is not None:
                    decision = self._decider.update(scores)
                    self._on_decision(decision)
                    if self._on_scores:
                        self._on_scores(scores, decision)
            self.moved_at = asyncio.get_running_loop().time()
