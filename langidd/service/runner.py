"""The service: the daemon with its signals, its configuration file, and systemd."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Any, Final, NoReturn

from langidd import __version__
from langidd.config import load_settings
from langidd.errors import ConfigError, LangiddError
from langidd.observability.logging import configure_logs
from langidd.observability.redaction import redact
from langidd.service.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langidd.config import Settings
    from langidd.observability.redaction import SecretFilter
    from langidd.service.daemon import Daemon
    from langidd.types import Decision, Health

_LOG: Final = logging.getLogger(__name__)

DRAIN_S: Final = 5.0
"""What is decided has this long to go out after SIGTERM."""

STATUS_S: Final = 5.0
"""Seconds between two looks at how things are."""


async def serve(config: Path, flags: Mapping[str, Any]) -> int:
    """Run the service until a signal ends it, or all its files are played.

    Returns the exit status. Raises ConfigError where the first configuration cannot
    stand, and what else the daemon cannot start without.
    """
    settings = _load(config, flags)
    secret_filter = configure_logs(settings.log, settings.secrets())
    _LOG.info("langidd %s with %s", __version__, config)
    service = Service(settings, config, flags, secret_filter)
    return await service.run()


def _load(config: Path, flags: Mapping[str, Any]) -> Settings:
    settings = load_settings(config, flags)
    if not settings.sources:
        raise ConfigError(
            f"{config}: sources is empty; add [[sources]] with name and device, rtsp or file"
        )
    return settings


class Service:
    """One daemon, from its start to its end."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        flags: Mapping[str, Any],
        secret_filter: SecretFilter,
    ) -> None:
        self._settings = settings
        self._config = config
        self._flags = flags
        self._secret_filter = secret_filter
        self._notifier = Notifier()
        self._states: dict[str, str] = {}
        self._languages: dict[str, str] = {}
        self._ending = asyncio.Event()
        self._reload_wanted = asyncio.Event()

    async def run(self) -> int:
        """Run it; returns the exit status."""
        from langidd.service.daemon import Daemon

        daemon = Daemon(
            self._settings, on_decision=self._decided, on_scores=None, on_health=self._heard
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        work = asyncio.create_task(daemon.run(), name="daemon")
        minders = [
            asyncio.create_task(minder, name=name)
            for name, minder in {
                "ready": self._tell_ready(daemon),
                "watchdog": self._feed(daemon),
                "reload": self._reload_when_told(daemon),
            }.items()
        ]
        ending = asyncio.create_task(self._ending.wait(), name="signals")
        try:
            await asyncio.wait([work, ending, *minders], return_when=asyncio.FIRST_COMPLETED)
            for minder in minders:
                if minder.done() and minder.exception() is not None:
                    minder.result()
            self._notifier.stopping()
            if not work.done():
                _LOG.info("ending")
            return await self._drain(daemon, work)
        finally:
            for task in (*minders, ending, work):
                task.cancel()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
            self._notifier.close()

    async def _drain(self, daemon: Daemon, work: asyncio.Task[None]) -> int:
        """Let the daemon end in its own way, for as long as there is time."""
        if not work.done() and not daemon.ready.is_set():
            # Nothing is decided yet; but a thread reads a model, and would be waited for.
            _leave(0)
        if not work.done():
            daemon.stop()
        done, _ = await asyncio.wait([work], timeout=DRAIN_S - 0.5)
        if not done:
            _LOG.warning("not all went out within %s s; ending without it", DRAIN_S)
            _leave(1)
        work.result()
        _LOG.info("ended")
        return 0

    async def _tell_ready(self, daemon: Daemon) -> None:
        """Say READY once the model is warm and the sources were started, then how it goes."""
        await daemon.ready.wait()
        # Until here SIGTERM ends the process as it ends any: there is nothing to drain, and
        # while torch is imported Python would be seconds late to hear of it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._ending.set)
        self._notifier.ready(self._status())
        _LOG.info("ready: %s", self._status())
        while True:
            await asyncio.sleep(STATUS_S)
            self._notifier.status(self._status())

    async def _feed(self, daemon: Daemon) -> None:
        """Feed systemd's watchdog, but only while sound really moves through the daemon."""
        limit_s = self._notifier.watchdog_s
        if limit_s is None:
            await asyncio.Event().wait()
            return
        while True:
            if daemon.moving(within_s=limit_s / 2):
                self._notifier.alive()
            else:
                _LOG.error("nothing moves through the pipeline; systemd will start it anew")
            await asyncio.sleep(limit_s / 4)

    async def _reload_when_told(self, daemon: Daemon) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            self._notifier.reloading()
            await self._reload(daemon)
            self._notifier.ready(self._status())

    async def _reload(self, daemon: Daemon) -> None:
        try:
            settings = await asyncio.to_thread(_load, self._config, self._flags)
        except ConfigError as error:
            _LOG.error("the configuration stays as it was: %s", redact(str(error)))
            return
        # Both sets, until the sources that still use the old ones are gone.
        self._secret_filter.secrets |= settings.secrets()
        try:
            await daemon.reload(settings)
        except LangiddError as error:
            _LOG.error("not all of the new configuration stands: %s", error)
            return
        names = {source.name for source in settings.sources}
        self._states = {name: state for name, state in self._states.items() if name in names}
        self._languages = {name: said for name, said in self._languages.items() if name in names}
        self._settings = settings
        _LOG.info("the configuration was read again: %d sources", len(settings.sources))

    def _decided(self, decision: Decision) -> None:
        self._languages[decision.source] = decision.language

    def _heard(self, health: Health) -> None:
        self._states[health.source] = health.state

    def _status(self) -> str:
        """Return in one line how many sources are live, which are not, what is spoken."""
        sources = self._settings.sources
        live = sum(self._states.get(source.name) == "live" for source in sources)
        parts = [f"{live} of {len(sources)} sources live"]
        parts += [
            f"{source.name} {self._states.get(source.name, 'connecting')}"
            for source in sources
            if self._states.get(source.name) not in {"live", "ended"}
        ][:5]
        said = [f"{name}: {language}" for name, language in self._languages.items()][:5]
        return "; ".join([*parts, *said])


def _leave(status: int) -> NoReturn:
    """End the process at once, without waiting for threads that nothing can end."""
    logging.shutdown()
    os._exit(status)
