"""One queue before the model: full batches, bounded waits, fair and counted drops."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.errors import ModelError
from langidd.model.batcher import FILE_BATCHES, LIVE_WAITING, Batcher
from langidd.types import Scores, Span, Window
from tests.support.fake_model import FakeModel, run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from langidd.types import DroppedWindow


class Gated(FakeModel):
    """Scores a window by its first sample, once the test lets it; fails below 0."""

    def __init__(self, *, in_flight: int = 1) -> None:
        super().__init__(
            lambda window: None if window.samples[0] < 0 else [window.samples[0], 0, 0, 0],
            in_flight=in_flight,
        )
        self.free = asyncio.Event()
        self.begun = asyncio.Event()

    @property
    def firsts(self) -> list[list[float]]:
        return [[float(window.samples[0]) for window in batch] for batch in self.batches]

    async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
        scores = await super().score(windows)
        self.begun.set()
        await self.free.wait()
        return scores


def _window(value: float, source: str = "a", number: int = 0, segment: int = 1) -> Window:
    span = Span(source, number, 0.0, 4.0, 1.0, segment)
    return Window(span, np.full(8, value, np.float32))


@asynccontextmanager
async def _running(
    model: FakeModel, *, max_batch: int = 4, max_delay_s: float = 0.01
) -> AsyncIterator[tuple[Batcher, list[DroppedWindow]]]:
    dropped: list[DroppedWindow] = []
    batcher = Batcher(
        model, max_batch=max_batch, max_delay_s=max_delay_s, on_dropped=dropped.append
    )
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher, dropped
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_full_batch_leaves_at_once() -> None:
    model = Gated()
    model.free.set()
    async with _running(model, max_delay_s=3600) as (batcher, _):
        answers = [await batcher.submit(_window(n, f"s{n}"), live=True) for n in range(4)]
        scores = await asyncio.gather(*answers)
    assert model.firsts == [[0, 1, 2, 3]]
    assert [score.logits[0] for score in scores if score] == [0, 1, 2, 3]


async def test_a_lone_window_leaves_after_the_delay() -> None:
    model = Gated()
    model.free.set()
    async with _running(model, max_batch=100) as (batcher, _):
        answer = await batcher.submit(_window(7), live=True)
        assert (await answer) is not None
    assert model.firsts == [[7]]


async def test_overloaded_it_drops_a_sources_oldest_windows_and_counts_them() -> None:
    model = Gated()
    async with _running(model, max_batch=1) as (batcher, dropped):
        first = await batcher.submit(_window(0), live=True)
        await model.begun.wait()
        answers = [await batcher.submit(_window(n, number=n), live=True) for n in range(1, 6)]
        other = await batcher.submit(_window(9, "b"), live=True)
        assert batcher.waiting == LIVE_WAITING + 1
        model.free.set()
        results = [await answer for answer in (first, *answers, other)]
    assert [None if score is None else score.logits[0] for score in results] == [
        0, None, None, None, 4, 5, 9,
    ]  # fmt: skip
    assert [(one.span.number, one.reason) for one in dropped] == [
        (1, "overload"), (2, "overload"), (3, "overload"),
    ]  # fmt: skip
    # The new speech of the dropped ones now belongs to the window that took their place.
    assert results[4] is not None
    assert results[4].span.new_s == 4.0


async def test_a_source_that_can_wait_has_to_and_loses_nothing() -> None:
    model = Gated()
    async with _running(model, max_batch=2) as (batcher, dropped):
        taken = 0

        async def feed() -> list[asyncio.Future[Scores | None]]:
            nonlocal taken
            answers = []
            for number in range(50):
                answers.append(await batcher.submit(_window(number, number=number), live=False))
                taken += 1
            return answers

        feeding = asyncio.create_task(feed())
        await model.begun.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert taken <= 2 + 2 * FILE_BATCHES
        model.free.set()
        results = [await answer for answer in await feeding]
    assert None not in results
    assert not dropped


async def test_windows_on_which_the_model_fails_are_dropped_in_order_with_their_reason() -> None:
    model = Gated()
    model.free.set()
    async with _running(model, max_batch=2) as (batcher, dropped):
        windows = [_window(value, number=n) for n, value in enumerate([-1, 1, -2, -3])]
        answers = [await batcher.submit(window, live=False) for window in windows]
        results = await asyncio.gather(*answers)
    assert [scores is None for scores in results] == [True, False, True, True]
    assert [(one.span.number, one.reason) for one in dropped] == [
        (0, "failed"), (2, "failed"), (3, "failed"),
    ]  # fmt: skip


async def test_as_many_batches_run_at_a_time_as_the_model_takes() -> None:
    model = Gated(in_flight=3)
    async with _running(model, max_batch=1) as (batcher, _):
        answers = [await batcher.submit(_window(n, f"s{n}"), live=True) for n in range(5)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert model.firsts == [[0], [1], [2]]
        assert batcher.oldest_wait_s > 0.0
        model.free.set()
        await asyncio.gather(*answers)
    assert model.firsts == [[0], [1], [2], [3], [4]]


async def test_a_lost_model_ends_the_batcher() -> None:
    class Lost(FakeModel):
        async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
            raise ModelError(f"cuda:0 failed with {len(windows)} windows")

    batcher = Batcher(Lost(lambda _: None), max_batch=1, max_delay_s=0)
    answer = await batcher.submit(_window(1), live=True)
    with pytest.raises(ModelError, match="1 windows"):
        await batcher.run()
    assert answer.cancelled()


HOP_S = 0.5
BATCH = 4
BATCH_S = 0.1
PEAK = BATCH / BATCH_S


@pytest.mark.parametrize("load", [1, 2, 4])
def test_overload_is_shared_fairly_late_by_two_hops_at_most_and_costs_no_throughput(
    load: int,
) -> None:
    sources = int(load * PEAK * HOP_S)
    scored: Counter[str] = Counter()
    ages: list[float] = []
    seconds = 60.0

    class Slow(FakeModel):
        async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
            await asyncio.sleep(BATCH_S)
            now = asyncio.get_running_loop().time()
            for window in windows:
                scored[window.span.source] += 1
                ages.append(now - window.span.end)
            return await super().score(windows)

    async def speak(source: int, batcher: Batcher) -> None:
        await asyncio.sleep(HOP_S * source / sources)
        number = 0
        while (now := asyncio.get_running_loop().time()) < seconds:
            span = Span(f"s{source}", number, now - 2.0, now, HOP_S, 1)
            await batcher.submit(Window(span, np.zeros(1, np.float32)), live=True)
            number += 1
            await asyncio.sleep(HOP_S)

    async def play() -> None:
        model = Slow(lambda _: [1.0, 0.0, 0.0, 0.0])
        async with _running(model, max_batch=BATCH, max_delay_s=0.02) as (batcher, dropped):
            await asyncio.gather(*(speak(source, batcher) for source in range(sources)))
            assert len(dropped) + sum(scored.values()) >= 0.98 * sources * seconds / HOP_S

    run_in_virtual_time(play())
    assert sum(scored.values()) >= 0.9 * PEAK * seconds
    assert max(scored.values()) - min(scored.values()) <= 2
    assert max(ages) <= 2 * HOP_S + BATCH_S
