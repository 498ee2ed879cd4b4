"""The way from a thread that blocks (a driver, a decoder) to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A bounded queue with a thread at one end and the event loop at the other.

    A live source drops its oldest item when nobody fetches; any other waits. Made
    inside the event loop that will fetch.
    """

    def __init__(self, capacity: int, *, drops: bool) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._drops = drops
        self._lock = threading.Lock()
        self._space = threading.Condition(self._lock)
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lost = 0
        self._ended = False
        self._error: BaseException | None = None
        self._abandoned = False
        self._left = asyncio.Event()

    @property
    def abandoned(self) -> bool:
        """Whether nobody fetches any more: the thread should stop."""
        return self._abandoned

    def put(self, item: T) -> bool:
        """Add an item (any thread); False when nobody fetches any more."""
        with self._space:
            if not self._drops:
                self._space.wait_for(lambda: self._abandoned or len(self._items) < self._capacity)
            if self._abandoned:
                return False
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._lost += 1
            self._items.append(item)
            wake = len(self._items) == 1
        if wake:
            self._wake()
        return True

    def pause(self, seconds: float) -> bool:
        """Sleep in the thread; False, and at once, when nobody fetches any more."""
        with self._space:
            return not self._space.wait_for(lambda: self._abandoned, timeout=seconds)

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing follows, or why (any thread)."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._error = error
        self._wake()

    async def get(self) -> tuple[T, int] | None:
        """The next item and how many were lost just before it; None at the end.

        Raises what the thread gave to `end`, after the items that came before it.
        """
        while True:
            with self._space:
                if self._items:
                    lost, self._lost = self._lost, 0
                    item = self._items.popleft()
                    self._space.notify()
                    return item, lost
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def abandon(self) -> None:
        """Fetch no more: whoever puts is told so and stops."""
        with self._space:
            self._abandoned = True
            self._items.clear()
            self._space.notify_all()

    def leave(self) -> None:
        """Say, last of all, that the thread is done (any thread)."""
        self._call(self._left.set)

    async def left(self, within_s: float) -> bool:
        """Wait a little for the thread to be done; False when it is not."""
        try:
            async with asyncio.timeout(within_s):
                await self._left.wait()
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        if not self._abandoned:
            self._call(self._arrived.set)

    def _call(self, what: Callable[[], None]) -> None:
        # A thread that hung may outlive the loop, which then needs no waking.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)
