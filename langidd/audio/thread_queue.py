"""A queue from a thread that blocks (a driver, a decoder) to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class ThreadQueue(Generic[T]):
    """A bounded queue with a thread at one end and the event loop at the other.

    Create it in the event loop that will read from it.

    Args:
        capacity: Items that it holds.
        drops: What `put` does when it is full: drop the oldest item, or wait.

    """

    def __init__(self, capacity: int, *, drops: bool) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._drops = drops
        self._lock = threading.Lock()
        self._space = threading.Condition(self._lock)
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._dropped = 0
        self._ended = False
        self._error: BaseException | None = None
        self._closed = False
        self._returned = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether nobody reads any more: the thread should stop."""
        return self._closed

    def put(self, item: T) -> bool:
        """Add an item (any thread); False when nobody reads any more."""
        with self._space:
            if not self._drops:
                self._space.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            wake = len(self._items) == 1
        if wake:
            self._wake()
        return True

    def pause(self, seconds: float) -> bool:
        """Sleep in the thread; False, and at once, when nobody reads any more."""
        with self._space:
            return not self._space.wait_for(lambda: self._closed, timeout=seconds)

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing follows, or why (any thread)."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._error = error
        self._wake()

    async def get(self) -> tuple[T, int] | None:
        """Return the next item and how many were dropped just before it; None at the end.

        Raises:
            BaseException: what the thread gave to `end`, after the items before it.

        """
        while True:
            with self._space:
                if self._items:
                    dropped, self._dropped = self._dropped, 0
                    item = self._items.popleft()
                    self._space.notify()
                    return item, dropped
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        """Read no more: the thread is told so by its next call."""
        with self._space:
            self._closed = True
            self._items.clear()
            self._space.notify_all()

    def thread_done(self) -> None:
        """Say, last of all, that the thread has returned (any thread)."""
        self._call(self._returned.set)

    async def returned(self, within_s: float) -> bool:
        """Wait a little for the thread to return; False when it does not."""
        try:
            async with asyncio.timeout(within_s):
                await self._returned.wait()
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        if not self._closed:
            self._call(self._arrived.set)

    def _call(self, what: Callable[[], None]) -> None:
        # A thread that hung may outlive the loop, which then needs no waking.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)
