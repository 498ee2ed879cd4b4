"""One queue before the model: full batches, bounded waits, and no silent loss."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.errors import ModelError
from langidd.model.batcher import LIVE_WAITING, Batcher, BatchReport, Loss
from langidd.types import Span, Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import numpy.typing as npt


class Scorer:
    """Scores a window by its first sample, when the test lets it."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.begun = asyncio.Event()
        self.batches: list[list[float]] = []

    async def logits(
        self, windows: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32] | None]:
        self.batches.append([float(window[0]) for window in windows])
        self.begun.set()
        await self.free.wait()
        return [None if window[0] < 0 else window[:1] for window in windows]


def _window(value: float, source: str = "a", number: int = 0, segment: int = 1) -> Window:
    span = Span(source, number, 0.0, 4.0, 1.0, segment)
    return Window(span, np.full(8, value, np.float32))


@asynccontextmanager
async def _running(scorer: Scorer, **settings: float) -> AsyncIterator[tuple[Batcher, list[Loss]]]:
    losses: list[Loss] = []
    reports: list[BatchReport] = []
    batcher = Batcher(
        scorer,
        max_batch=int(settings.get("max_batch", 4)),
        max_delay_s=settings.get("max_delay_s", 0.01),
        on_batch=reports.append,
        on_loss=losses.append,
    )
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher, losses
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_full_batch_leaves_at_once() -> None:
    scorer = Scorer()
    scorer.free.set()
    async with _running(scorer, max_delay_s=3600) as (batcher, _):
        answers = [await batcher.submit(_window(n, f"s{n}"), live=True) for n in range(4)]
        scores = await asyncio.gather(*answers)
    assert scorer.batches == [[0, 1, 2, 3]]
    assert [score.logits[0] for score in scores if score] == [0, 1, 2, 3]


async def test_a_lone_window_leaves_after_the_delay() -> None:
    scorer = Scorer()
    scorer.free.set()
    async with _running(scorer, max_batch=100) as (batcher, _):
        answer = await batcher.submit(_window(7), live=True)
        assert (await answer) is not None
    assert scorer.batches == [[7]]


async def test_too_slow_an_older_window_gives_way_and_is_counted() -> None:
    scorer = Scorer()
    async with _running(scorer, max_batch=1) as (batcher, losses):
        first = await batcher.submit(_window(0), live=True)
        await scorer.begun.wait()
        answers = [await batcher.submit(_window(n, number=n), live=True) for n in range(1, 6)]
        other = await batcher.submit(_window(9, "b"), live=True)
        scorer.free.set()
        results = [await answer for answer in (first, *answers, other)]
    assert [None if score is None else score.logits[0] for score in results] == [
        0, None, None, None, 4, 5, 9,
    ]  # fmt: skip
    assert [(loss.span.number, loss.reason) for loss in losses] == [
        (1, "gave way"), (2, "gave way"), (3, "gave way"),
    ]  # fmt: skip
    # The speech of the lost ones is answered for by the one that took their place.
    assert results[4] is not None
    assert results[4].span.new_s == 4.0
    assert LIVE_WAITING == 2


async def test_a_source_that_can_wait_is_made_to_and_loses_nothing() -> None:
    scorer = Scorer()
    async with _running(scorer, max_batch=2) as (batcher, losses):
        taken = 0

        async def feed() -> list[asyncio.Future[object]]:
            nonlocal taken
            answers = []
            for number in range(50):
                answers.append(await batcher.submit(_window(number, number=number), live=False))
                taken += 1
            return answers

        feeding = asyncio.create_task(feed())
        await scorer.begun.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert taken <= 2 + 2 * 2
        scorer.free.set()
        results = [await answer for answer in await feeding]
    assert None not in results
    assert not losses


async def test_a_window_the_model_cannot_take_is_counted() -> None:
    scorer = Scorer()
    scorer.free.set()
    async with _running(scorer, max_batch=2) as (batcher, losses):
        answers = [await batcher.submit(_window(n, f"s{n}"), live=True) for n in (-1, 1)]
        assert await answers[0] is None
        assert await answers[1] is not None
    assert [loss.reason for loss in losses] == ["failed"]


async def test_a_lost_model_ends_the_batcher() -> None:
    class Lost:
        async def logits(
            self, windows: Sequence[npt.NDArray[np.float32]]
        ) -> list[npt.NDArray[np.float32] | None]:
            raise ModelError(f"cuda:0 failed with {len(windows)} windows")

    batcher = Batcher(Lost(), max_batch=1, max_delay_s=0)
    answer = await batcher.submit(_window(1), live=True)
    with pytest.raises(ModelError, match="1 windows"):
        await batcher.run()
    assert answer.cancelled()
