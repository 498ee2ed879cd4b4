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
from langidd.redaction import redact
from langidd.service.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langidd.config import Settings
    from langidd.service.daemon import Daemon

log = logging.getLogger(__name__)

DRAIN_S: Final = 5.0
"""What is decided has this long to go out after SIGTERM."""

STATUS_S: Final = 5.0
"""Seconds between two looks at how things are."""


async def serve(config: Path, flags: Mapping[str, Any]) -> int:
    """Run the service until a signal ends it, or all its files are played.

    Args:
        config: the TOML file, which SIGHUP has read again.
        flags: what the command line gave, which wins over the file.

    Returns:
        The exit status.

    Raises:
        ConfigError: the first configuration is not valid.
        LangiddError: what else the daemon cannot start without.

    """
    reload_wanted = asyncio.Event()
    # Before anything is read: until then a SIGHUP would end the process.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_wanted.set)
    settings = _load(config, flags)
    configure_logs(settings.log, settings.secrets())
    log.info("langidd %s with %s", __version__, config)
    return await Service(settings, config, flags, reload_wanted).run()


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
        reload_wanted: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._secrets = settings.secrets()
        self._config = config
        self._flags = flags
        self._reload_wanted = reload_wanted
        self._notifier = Notifier()
        self._ending = asyncio.Event()

    async def run(self) -> int:
        """Run it; returns the exit status."""
        from langidd.service.daemon import Daemon

        # A service is not done before its events are out: started again it would play its
        # files again.
        daemon = Daemon(self._settings, delivery_s=None)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._ending.set)
        work = asyncio.create_task(daemon.run(), name="daemon")
        side_tasks = [
            asyncio.create_task(self._tell_status(daemon), name="status"),
            asyncio.create_task(self._feed_watchdog(daemon), name="watchdog"),
            asyncio.create_task(self._reload_when_asked(daemon), name="reload"),
        ]
        ending = asyncio.create_task(self._ending.wait(), name="signals")
        try:
            await asyncio.wait([work, ending, *side_tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in side_tasks:
                if task.done():
                    task.result()
            self._notifier.stopping()
            if not work.done():
                log.info("ending: what is decided has %g s to go out", DRAIN_S)
            return await self._drain(daemon, work)
        finally:
            for each in (*side_tasks, ending, work):
                each.cancel()
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
            log.warning("not everything went out within %g s; ending without it", DRAIN_S)
            _leave(1)
        work.result()
        log.info("ended")
        return 0

    async def _tell_status(self, daemon: Daemon) -> None:
        """Say READY once the model is warm and the sources were started, then how it goes."""
        await daemon.ready.wait()
        # Until here SIGTERM ends the process as it ends any: there is nothing to drain, and
        # while a library is loaded Python would be seconds late to run a handler.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._ending.set)
        self._notifier.ready(daemon.status)
        log.info("ready: %s", daemon.status)
        while True:
            await asyncio.sleep(STATUS_S)
            self._notifier.status(daemon.status)

    async def _feed_watchdog(self, daemon: Daemon) -> None:
        """Feed systemd's watchdog, unless something is stuck that a restart may free."""
        limit_s = self._notifier.watchdog_s
        if limit_s is None:
            await asyncio.Event().wait()
            return
        while True:
            if reason := daemon.health.stuck(limit_s):
                log.error("%s; the watchdog is not fed, so systemd will restart langidd", reason)
            else:
                self._notifier.alive()
            await asyncio.sleep(limit_s / 4)

    async def _reload_when_asked(self, daemon: Daemon) -> None:
        """Reload after each SIGHUP; one that comes while the model is loaded waits for that."""
        await daemon.ready.wait()
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            self._notifier.reloading()
            await self._reload(daemon)
            self._notifier.ready(daemon.status)

    async def _reload(self, daemon: Daemon) -> None:
        try:
            settings = await asyncio.to_thread(_load, self._config, self._flags)
            # Both sets, until the sources that use the old ones are gone.
            self._secrets |= settings.secrets()
            configure_logs(self._settings.log, self._secrets)
            await daemon.reload(settings)
        except LangiddError as error:
            text = redact(str(error), self._secrets)
            log.error("the configuration stays as it was: %s", text)  # noqa: TRY400 - all is said
            return
        if settings.log != self._settings.log:
            configure_logs(settings.log, self._secrets)
            log.info("log.level is %s, log.format is %s", settings.log.level, settings.log.format)
        self._settings = settings
        log.info("the configuration was read again: %d sources", len(settings.sources))


def _leave(status: int) -> NoReturn:
    """End the process at once, without waiting for threads that nothing can end."""
    logging.shutdown()
    os._exit(status)
