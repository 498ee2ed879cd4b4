"""The daemon: sources, model and publisher put together, and kept running.

`Daemon.run` is startup, main loop and shutdown. A fault of one source never ends another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from langidd.audio import supervise
from langidd.decision.decider import Decider
from langidd.errors import BrokerError, ModelError
from langidd.observability.http import Endpoint
from langidd.observability.metrics import Metrics
from langidd.service import publishing
from langidd.service.health import HealthMonitor
from langidd.service.model import make_batcher, open_model
from langidd.service.pool import SourcePool, cancel
from langidd.service.preflight import check_sources
from langidd.service.results import Results
from langidd.service.stream import Stream
from langidd.speech.frontend import SpeechFrontend
from langidd.speech.vad_worker import VadWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from langidd.config import Settings, SourceSettings, VadSettings, WindowSettings
    from langidd.model.batcher import Batcher
    from langidd.publish.base import Publisher
    from langidd.speech.base import Frontend
    from langidd.types import Calibration, Decision, Health, Scores

log = logging.getLogger(__name__)

NEEDS_RESTART: Final = ("node", "state_directory", "model", "mqtt", "http")
"""Settings that a running daemon cannot change."""


class Daemon:
    """One model, one publisher, many sources.

    Args:
        settings: all of them.
        on_decision: called in the event loop with each decision.
        on_scores: likewise with each scored window's scores.
        on_health: likewise with each change of a source's health.
        publish: whether to publish at all.
        delivery_s: once the last source has ended, how long events may wait for the broker
            before that counts as an error; None: for ever.
        temporary: withdraw at the end all that was announced.
        frontend: cuts a source's sound into windows.

    Attributes:
        metrics: everything that is counted.
        health: whether the service does its work.
        ready: set once the model is warm and the sources are started.

    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_decision: Callable[[Decision], None] | None = None,
        on_scores: Callable[[Scores], None] | None = None,
        on_health: Callable[[Health], None] | None = None,
        publish: bool = True,
        delivery_s: float | None = 10.0,
        temporary: bool = False,
        frontend: Callable[[str, VadSettings, WindowSettings], Frontend] = SpeechFrontend,
    ) -> None:
        self.metrics = Metrics()
        self.ready = asyncio.Event()
        self._settings = settings
        self._publish = publish
        self._delivery_s = delivery_s
        self._temporary = temporary
        self._frontend = frontend
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._pool = SourcePool(self._make_stream)
        self._results = Results(self.metrics, self._pool, on_decision, on_scores, on_health)
        self._publisher: Publisher | None = None
        self._calibration: Calibration | None = None
        self._batcher: Batcher | None = None
        self.health = HealthMonitor(self._pool, self._results)
        self._vad_worker = VadWorker()
        self._background: list[asyncio.Task[None]] = []
        self._resources = AsyncExitStack()

    async def run(self) -> None:
        """Go on until `stop`, or until every source has ended.

        Raises:
            ModelError: the model cannot be loaded, or failed on every window.
            ConfigError: a setting does not fit the model.
            ServiceError: the machine lacks something, such as the HTTP port.
            SourceError: there were only files, and none of them could be read.
            BrokerError: every source has ended, and events did not reach the broker.

        """
        try:
            await self._startup()
            await self._main_loop()
        finally:
            await self._shutdown()

    def stop(self) -> None:
        """Let the sources end; what is decided still goes out."""
        self._stopping.set()

    @property
    def status(self) -> str:
        """How the service is, in one line for people."""
        return self.health.status(len(self._settings.sources))

    async def reload(self, settings: Settings) -> None:
        """Take new settings: add, remove and restart only the sources that changed.

        Raises:
            ConfigError: a source's languages do not fit the model; nothing has changed.

        """
        for source in settings.sources:
            self._decider(settings, source)
        old = self._settings
        for key in NEEDS_RESTART:
            if getattr(settings, key) != getattr(old, key):
                log.warning("%s has changed: restart langidd for it to take effect", key)
        everything = (settings.vad, settings.windows, settings.decision) != (
            old.vad,
            old.windows,
            old.decision,
        )
        new = {source.name: source for source in settings.sources}
        changed = [
            entry
            for name, entry in self._pool.entries.items()
            if everything or new.get(name) != entry.settings
        ]
        await self._pool.stop(changed)
        for entry in changed:
            if entry.settings.name not in new:
                self._results.forget(entry.settings.name)
                log.info("source %s: removed", entry.settings.name)
        self._settings = settings
        self._announce()
        self._pool.start_missing(settings.sources)
        self._changed.set()

    # Startup.

    async def _startup(self) -> None:
        self._resources.callback(self._vad_worker.close)
        await check_sources(self._settings.sources, needs_all=False)
        self._resources.push_async_callback(cancel, self._background)
        self._in_background(self.metrics.measure_lag(), "lag")
        self._in_background(self.health.run(), "health")
        self.metrics.gauge("ready", "1 while /readyz says so.", lambda: self.health.ready)
        if self._settings.http.port is not None:
            self._serve_http(self._settings.http.host, self._settings.http.port)
        await self._load_model()
        for source in self._settings.sources:
            self._decider(self._settings, source)
        if self._publish:
            self._publisher = await self._resources.enter_async_context(
                publishing.open_publisher(self._settings, self.metrics, temporary=self._temporary)
            )
            self._results.publisher = self.health.publisher = self._publisher
            self._announce()
            self._in_background(self._publisher.run(), "publisher")
        self._pool.start_missing(self._settings.sources)
        self.ready.set()

    def _serve_http(self, host: str, port: int) -> None:
        endpoint = Endpoint(host, port, self.metrics.registry, self.health.answers())
        self._resources.callback(endpoint.close)

    async def _load_model(self) -> None:
        settings = self._settings.model
        model = await self._resources.enter_async_context(open_model(settings))
        info = model.info()
        self.metrics.model(info.name, info.device, info.labels)
        self._calibration = info.calibration
        self._batcher = self.health.batcher = batcher = make_batcher(
            model, settings, on_batch=self.metrics.batch, on_dropped=self._results.unscored
        )
        self.metrics.gauge(
            "queue_windows", "Windows that wait for the model.", lambda: batcher.waiting
        )
        self._in_background(batcher.run(), "batcher")

    # Main loop.

    async def _main_loop(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            while not self._stopping.is_set() and (
                self._pool.entries or not self._settings.sources
            ):
                await self._something(stopping, *(entry.task for entry in self._pool.running()))
                self._pool.collect()
                if self._settings.sources and not self._pool.entries:
                    await self._delivery(stopping)
        finally:
            stopping.cancel()
        if not self._stopping.is_set():
            self._raise_what_failed()

    async def _something(self, *tasks: asyncio.Task[Any], timeout_s: float | None = None) -> None:
        """Wait for one of the tasks or a reload; raise what ends a task in the background."""
        changed = asyncio.create_task(self._changed.wait(), name="changed")
        await asyncio.wait(
            [changed, *self._background, *tasks],
            timeout=timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        changed.cancel()
        self._changed.clear()
        for task in self._background:
            if task.done():
                task.result()
                raise RuntimeError(f"{task.get_name()} ended by itself")

    async def _delivery(self, stopping: asyncio.Task[Any]) -> None:
        """Every source has ended: let the events go out that still wait."""
        if self._publisher is not None:
            waiting = asyncio.create_task(publishing.delivered(self._publisher), name="delivery")
            await self._something(waiting, stopping, timeout_s=self._delivery_s)
            await cancel([waiting])

    def _raise_what_failed(self) -> None:
        """Raise why the end of every source is no success."""
        if self._pool.failures and not self._pool.finished:
            raise self._pool.failures[0]
        scoring = self._results.scoring
        if scoring.failed_windows and not scoring.scored_windows:
            raise ModelError(f"the model failed on all {scoring.failed_windows} windows")
        if self._publisher is not None:
            undelivered = publishing.undelivered(self._publisher, self._settings)
            if undelivered:
                raise BrokerError(undelivered)

    def _make_stream(self, source: SourceSettings) -> Stream:
        """Put together everything that one source needs."""
        assert self._batcher is not None  # noqa: S101 - the model is loaded before
        name = source.name
        # Known before the source is opened: a recording waits for the model, sound does not.
        live = source.file is None or source.realtime
        supervised = supervise(source, self._results.health)
        self.metrics.watch(name, supervised)
        vad = self._settings.vad
        return Stream(
            name,
            chunks=supervised.chunks,
            voice=self._vad_worker.open(vad.engine, vad.aggressiveness, vad.threshold),
            frontend=self._frontend(name, vad, self._settings.windows),
            batcher=self._batcher,
            rule=self._decider(self._settings, source),
            live=live,
            on_chunk=lambda chunk: self._results.audio(name, chunk),
            on_scores=self._results.scores,
            on_decision=lambda decision: self._results.decision(decision, live=live),
        )

    # Shutdown.

    async def _shutdown(self) -> None:
        entries = list(self._pool.entries.values())
        await self._pool.stop(entries)
        for entry in entries:
            if entry.health is not None and entry.state != "ended":
                ended = replace(entry.health, state="ended", since=time.time(), detail="")
                self._results.health(ended)
        await self._resources.aclose()

    # The parts.

    def _decider(self, settings: Settings, source: SourceSettings) -> Decider:
        assert self._calibration is not None  # noqa: S101 - the model is loaded before
        return Decider(
            source.name,
            self._calibration,
            settings.decision.decider(source.preset),
            candidates=source.candidates,
            priors=source.priors,
        )

    def _announce(self) -> None:
        if self._publisher is not None:
            self._publisher.announce(
                [
                    publishing.announcement(source, self._decider(self._settings, source).languages)
                    for source in self._settings.sources
                ]
            )

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._background.append(asyncio.create_task(work, name=name))
