"""The sources in service: started, watched, let go, each apart from all others."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langidd.config import SourceSettings
    from langidd.service.stream import Channel
    from langidd.types import Health

log = logging.getLogger(__name__)

DRAIN_S: Final = 2.0
"""How long a source that is stopped may take to decide what it has heard."""

ANEW_S: Final = 1.0
"""After which a source whose channel failed inside langidd is started anew."""

STALL_MARGIN_S: Final = 5.0
"""A live source may give nothing for its `stall_s` before it is called stalled; only what
lasts longer than that and this is langidd's own fault."""


@dataclass(slots=True)
class Post:
    """A source in service; `live_since` is the loop's time at which sound last set in.

    One that is `leaving` is no longer anybody's but `dismiss`'s.
    """

    settings: SourceSettings
    channel: Channel
    task: asyncio.Task[None]
    health: Health | None = None
    live_since: float = 0.0
    leaving: bool = False


class Roster:
    """All of them, by name; `make` builds the channel of a source that is to be started."""

    def __init__(self, make: Callable[[SourceSettings], Channel]) -> None:
        self.posts: dict[str, Post] = {}
        self.failures: list[SourceError] = []
        self.played = 0
        """Sources that came to their end."""
        self._make = make

    def employ(self, source: SourceSettings, *, after_s: float = 0.0) -> None:
        """Start a source."""
        channel = self._make(source)
        task = asyncio.create_task(_run(channel, after_s), name=f"source {source.name}")
        self.posts[source.name] = Post(source, channel, task)

    async def dismiss(self, posts: Iterable[Post]) -> None:
        """Stop sources, and wait until their devices are free and what was said is decided."""
        leaving = list(posts)
        for post in leaving:
            post.leaving = True
            post.channel.end()
        tasks = [post.task for post in leaving]
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_S)
        await cancelled(tasks)
        for post in leaving:
            self.posts.pop(post.settings.name, None)

    def collect(self) -> None:
        """Let go of sources that have ended, and say why where they should not have."""
        for post in [post for post in self.staying() if post.task.done()]:
            del self.posts[post.settings.name]
            error = post.task.exception()
            if error is None:
                self.played += 1
                continue
            cause = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            if isinstance(cause, SourceError):
                self.failures.append(cause)
                log.error("source %s: %s", post.settings.name, cause)
                continue
            log.error(
                "source %s: failed inside langidd; it is started anew",
                post.settings.name,
                exc_info=error,
            )
            self.employ(post.settings, after_s=ANEW_S)

    def staying(self) -> list[Post]:
        """Those that are not being dismissed: whose end is an end or a failure."""
        return [post for post in self.posts.values() if not post.leaving]

    def heard(self, health: Health) -> None:
        """Note how a source is."""
        post = self.posts.get(health.source)
        if post is None:
            return
        if health.state == "live" and (post.health is None or post.health.state != "live"):
            post.live_since = asyncio.get_running_loop().time()
        post.health = health

    def states(self) -> dict[str, str]:
        """Each source's state, by name."""
        return {
            name: post.health.state if post.health else "connecting"
            for name, post in list(self.posts.items())
        }

    def moving(self, *, within_s: float) -> bool:
        """Whether sound, or silence, really goes through every source that gives any."""
        now = asyncio.get_running_loop().time()
        for post in self.posts.values():
            if post.health is None or post.health.state != "live":
                continue
            moved_at = max(post.channel.moved_at or 0.0, post.live_since)
            if now - moved_at > max(within_s, post.settings.stall_s + STALL_MARGIN_S):
                log.error("source %s: sound arrives, but nothing comes out", post.settings.name)
                return False
        return True


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)


async def _run(channel: Channel, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await channel.run()
