"""One source's whole way, from its sound to its decisions.

    source ─chunks▶ voice activity ─flags▶ frontend ─windows, pauses▶ batcher ─▶ model
           ─scores▶ decider ─▶ decisions

Two tasks share the way. `_read` takes chunks, cuts them into windows and puts the windows
into the model's queue; it never waits for the model, so that a slow model cannot hold up a
microphone. `_decide` takes scores, and the pauses between them, in the order of time.
Between the two lies a queue of what was cut: pauses, and futures of scores.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol

from langidd.types import Pause, Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from langidd.model.batcher import Batcher
    from langidd.speech.base import Frontend, VoiceActivity
    from langidd.types import Chunk, Decision, Scores

LIVE_BACKLOG: Final = 256
"""Windows and pauses of a live source that may wait to be decided. Beyond it the source's own
queue fills, and drops sound."""

FILE_BACKLOG: Final = 64
"""The same for a source that can wait."""

Item = Pause | asyncio.Future["Scores | None"]


class Rule(Protocol):
    """What decides: a `Decider`, or whatever else takes scores and pauses in order."""

    def update(self, scores: Scores) -> Decision | None:
        """Take one window's scores."""

    def pause(self, pause: Pause) -> Decision | None:
        """Take a pause."""


class Stream:
    """Takes one source through all stages.

    Attributes:
        name: The source's name.
        moved_at: The loop's time at which a window or a pause last came out at the end;
            None before the first.

    """

    def __init__(
        self,
        name: str,
        *,
        chunks: Callable[[], AsyncGenerator[Chunk]],
        voice: VoiceActivity,
        frontend: Frontend,
        batcher: Batcher,
        rule: Rule,
        live: bool,
        on_chunk: Callable[[Chunk], None] | None = None,
        on_scores: Callable[[Scores], None] | None = None,
        on_decision: Callable[[Decision], None] | None = None,
    ) -> None:
        """Put a source's stages together.

        Args:
            name: The source's name.
            chunks: Opens the source.
            voice: The source's voice activity; closed when the stream ends.
            frontend: Cuts chunks into windows and pauses.
            batcher: The queue before the model, which all sources share.
            rule: Decides.
            live: Windows are dropped rather than waited for when the model is too slow.
            on_chunk: Called in the event loop with each chunk,
            on_scores: with the scores of each window that was scored,
            on_decision: and with each decision, in order.

        """
        self.name = name
        self.moved_at: float | None = None
        self._chunks = chunks
        self._voice = voice
        self._frontend = frontend
        self._batcher = batcher
        self._rule = rule
        self._live = live
        self._on_chunk = on_chunk
        self._on_scores = on_scores
        self._on_decision = on_decision
        self._ending = False
        self._reading: asyncio.Task[None] | None = None
        self._items: asyncio.Queue[Item | None] = asyncio.Queue(
            LIVE_BACKLOG if live else FILE_BACKLOG
        )

    async def run(self) -> None:
        """Go on until the source has ended and all of it is decided.

        Raises:
            BaseExceptionGroup: Of what the source or a stage raised.

        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._reading = tasks.create_task(self._read(), name=f"{self.name}: read")
                tasks.create_task(self._decide(), name=f"{self.name}: decide")
        finally:
            self._voice.close()

    def end(self) -> None:
        """Read no more; `run` returns once what was read is decided."""
        self._ending = True
        if self._reading is not None:
            self._reading.cancel()

    # From the source to the model's queue.

    async def _read(self) -> None:
        try:
            async with aclosing(self._chunks()) as chunks:
                async for chunk in chunks:
                    if self._on_chunk:
                        self._on_chunk(chunk)
                    voiced = await self._voice.voiced(chunk)
                    await self._queue(self._frontend.push(chunk, voiced))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._ending or task is None:
                raise
            task.uncancel()
        await self._queue(self._frontend.flush())
        await self._items.put(None)

    async def _queue(self, items: list[Window | Pause]) -> None:
        for item in items:
            if isinstance(item, Window):
                await self._items.put(await self._batcher.submit(item, live=self._live))
            else:
                await self._items.put(item)

    # From the scores to the decisions.

    async def _decide(self) -> None:
        while (item := await self._items.get()) is not None:
            if isinstance(item, Pause):
                self._publish(self._rule.pause(item))
            elif (scores := await item) is not None:
                if self._on_scores:
                    self._on_scores(scores)
                self._publish(self._rule.update(scores))
            self.moved_at = asyncio.get_running_loop().time()

    def _publish(self, decision: Decision | None) -> None:
        if decision is not None and self._on_decision:
            self._on_decision(decision)
