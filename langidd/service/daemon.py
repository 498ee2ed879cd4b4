"""The daemon: every part put together, and looked after until the end.

`run` is startup, main loop and shutdown. What one source does never ends another: a
channel that fails is logged and counted, the rest go on.
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
from langidd.model.batcher import Batcher
from langidd.model.calibration import window_probabilities
from langidd.observability.http import Endpoint
from langidd.observability.metrics import Metrics
from langidd.service.pool import Roster, cancelled
from langidd.service.stream import Channel
from langidd.speech.frontend import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langidd.config import Settings, SourceSettings
    from langidd.model.whisper import Classifier
    from langidd.model.worker import ClassifierWorker
    from langidd.publish.base import Publisher
    from langidd.types import Decision, Health, Scores

log = logging.getLogger(__name__)

LAG_EVERY_S: Final = 0.1
"""How often the event loop's lag is measured."""

DELAY_MS: Final = {"cuda": 5.0, "cpu": 20.0}
"""How long a window waits for company, where the settings leave it open."""

NEEDS_RESTART: Final = ("node", "state_directory", "model", "mqtt", "http")
"""Settings that a running daemon cannot change."""


class Daemon:
    """One model, one connection to the broker, many sources.

    The callbacks are called in the event loop. `ready` is set once the model is warm
    and the sources were started. `temporary`: what was announced is withdrawn at the end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_decision: Callable[[Decision], None] | None = None,
        on_scores: Callable[[Scores, Mapping[str, float]], None] | None = None,
        on_health: Callable[[Health], None] | None = None,
        publish: bool = True,
        temporary: bool = False,
    ) -> None:
        self.metrics = Metrics()
        self.ready = asyncio.Event()
        self._settings = settings
        self._on_decision = on_decision
        self._on_scores = on_scores
        self._on_health = on_health
        self._publish = publish
        self._temporary = temporary
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._roster = Roster(self._channel)
        self._publisher: Publisher | None = None
        self._worker: ClassifierWorker | None = None
        self._batcher: Batcher | None = None
        self._background: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Go on until `stop`, or until every source has ended.

        Raises what the daemon cannot start without (`ModelError`, `ConfigError`,
        `ServiceError`), and `SourceError` where there was nothing but sources that
        could not be read.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            await self._main_loop()

    def stop(self) -> None:
        """Let the sources end; what is decided still goes out."""
        self._stopping.set()

    def moving(self, *, within_s: float) -> bool:
        """Whether sound, or silence, really goes through every source that gives any."""
        return self._roster.moving(within_s=within_s)

    async def reload(self, settings: Settings) -> None:
        """Take new settings: add, remove and restart only the sources that changed.

        Raises ConfigError, before anything is touched, where a source's languages do
        not fit the model.
        """
        for key in NEEDS_RESTART:
            if getattr(settings, key) != getattr(self._settings, key):
                log.warning("%s has changed: that takes effect with the next restart", key)
        everything = any(
            getattr(settings, key) != getattr(self._settings, key)
            for key in ("vad", "windows", "decision")
        )
        new = {source.name: source for source in settings.sources}
        for source in settings.sources:
            self._decider(settings, source)
        gone = [
            post
            for name, post in self._roster.posts.items()
            if everything or new.get(name) != post.settings
        ]
        await self._roster.dismiss(gone)
        for post in gone:
            if post.settings.name not in new:
                self.metrics.forget(post.settings.name)
                log.info("source %s: removed", post.settings.name)
        self._settings = settings
        self._announce()
        for source in settings.sources:
            if source.name not in self._roster.posts:
                self._roster.employ(source)
        self._changed.set()

    # Startup.

    async def _start(self, stack: AsyncExitStack) -> None:
        from langidd.model.worker import ClassifierWorker

        model = self._settings.model
        started = time.monotonic()
        worker = self._worker = ClassifierWorker(self._load, cpu_fallback=model.cpu_fallback)
        stack.callback(worker.close)
        self._background.append(asyncio.create_task(self._measure_lag(), name="lag"))
        stack.push_async_callback(self._end_background)
        await worker.start()
        classifier = worker.classifier
        log.info(
            "model %s on %s, %s context: %s (%.1f s)",
            classifier.name,
            classifier.device,
            classifier.context,
            ", ".join(classifier.labels),
            time.monotonic() - started,
        )
        self.metrics.model(classifier.name, classifier.device, classifier.labels)
        delay_ms = model.max_delay_ms
        if delay_ms is None:
            delay_ms = DELAY_MS["cuda" if classifier.device.startswith("cuda") else "cpu"]
        self._batcher = Batcher(
            worker,
            max_batch=model.max_batch,
            max_delay_s=delay_ms / 1000,
            on_batch=self.metrics.batch,
            on_loss=self._lost,
        )
        for source in self._settings.sources:
            self._decider(self._settings, source)
        if self._publish:
            await self._start_publisher(stack)
        if self._settings.http.port is not None:
            http = self._settings.http
            endpoint = Endpoint(http.host, http.port or 0, self.metrics.registry, self._healthz)
            stack.callback(endpoint.close)
        self.metrics.gauge(
            "queue_windows", "Windows that wait for the model.", lambda: self.batcher.waiting
        )
        self._background.append(asyncio.create_task(self.batcher.run(), name="batcher"))
        stack.push_async_callback(self._dismiss_all)
        for source in self._settings.sources:
            self._roster.employ(source)
        self.ready.set()

    def _load(self) -> Classifier:
        from langidd.model.whisper import load_classifier

        model = self._settings.model
        return load_classifier(
            model.path,
            device=model.device,
            context=model.context,
            threads=model.threads,
            cpu_fallback=model.cpu_fallback,
        )

    async def _start_publisher(self, stack: AsyncExitStack) -> None:
        from langidd.publish.registry import open_publishers

        publisher = self._publisher = await open_publishers(
            self._settings, stack, self.metrics.gauge, temporary=self._temporary
        )
        self._announce()
        self._background.append(asyncio.create_task(publisher.run(), name="publisher"))
        stack.push_async_callback(publisher.close)

    def _announce(self) -> None:
        if self._publisher is None:
            return
        from langidd.publish.base import SourceAnnouncement

        self._publisher.announce(
            [
                SourceAnnouncement(
                    source.name,
                    self._decider(self._settings, source).languages,
                    _kind(source),
                    recording=source.file not in {None, "-"} and not source.realtime,
                )
                for source in self._settings.sources
            ]
        )

    # Main loop.

    async def _main_loop(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            while not self._stopping.is_set() and (
                self._roster.posts or not self._settings.sources
            ):
                changed = asyncio.create_task(self._changed.wait(), name="changed")
                tasks: list[asyncio.Task[Any]] = [post.task for post in self._roster.staying()]
                await asyncio.wait(
                    [stopping, changed, *self._background, *tasks],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                changed.cancel()
                self._changed.clear()
                for task in self._background:
                    if task.done():
                        task.result()
                        raise RuntimeError(f"{task.get_name()} ended by itself")
                self._roster.collect()
        finally:
            stopping.cancel()
        if self._roster.failures and not self._roster.played and not self._stopping.is_set():
            raise self._roster.failures[0]

    def _channel(self, source: SourceSettings) -> Channel:
        """Everything that one source needs, put together."""
        name = source.name
        live = source.file is None or source.realtime
        supervised = supervise(source, self._heard)
        self.metrics.watch(name, supervised)
        return Channel(
            name,
            supervised.chunks,
            Listener(name, self._settings.vad, self._settings.windows),
            self._decider(self._settings, source),
            self.batcher,
            live=live,
            on_decision=lambda decision: self._decided(decision, timely=live),
            on_scores=self._scored,
            on_sound=lambda chunk: self.metrics.sound(name, chunk),
        )

    # What comes back.

    def _decided(self, decision: Decision, *, timely: bool) -> None:
        self.metrics.decision(decision, time.time() - decision.decided_at if timely else None)
        if decision.reason == "change":
            log.info(
                "source %s: %s (%.0f %%), was %s",
                decision.source,
                decision.language,
                100 * decision.confidence,
                decision.previous or "nothing yet",
            )
        if self._publisher is not None:
            self._publisher.decision(decision)
        if self._on_decision is not None:
            self._on_decision(decision)

    def _scored(self, scores: Scores, _decision: Decision) -> None:
        self.metrics.scored(scores.span.source)
        wanted = self._publisher is not None and self._settings.mqtt.windows
        if not wanted and self._on_scores is None:
            return
        probabilities = window_probabilities(scores, self.worker.classifier.calibration)
        if self._publisher is not None:
            self._publisher.scores(scores, probabilities)
        if self._on_scores is not None:
            self._on_scores(scores, probabilities)

    def _heard(self, health: Health) -> None:
        self._roster.heard(health)
        self.metrics.health(health)
        if self._publisher is not None:
            self._publisher.health(health)
        if self._on_health is not None:
            self._on_health(health)

    def _lost(self, loss: Any) -> None:
        self.metrics.loss(loss)
        if loss.reason == "gave way":
            log.warning(
                "source %s: the machine is too slow, a window gave way to a newer one",
                loss.span.source,
            )

    def _healthz(self) -> tuple[bool, Mapping[str, Any]]:
        """Healthy: the model runs and every source that should give sound does."""
        states = self._roster.states()
        connected = self._publisher is None or self._publisher.delivery.connected
        healthy = (
            self.ready.is_set()
            and connected
            and all(state in {"live", "ended"} for state in states.values())
        )
        return healthy, {"healthy": healthy, "mqtt_connected": connected, "sources": states}

    # The parts that exist once started.

    @property
    def batcher(self) -> Batcher:
        """The queue before the model."""
        assert self._batcher is not None  # noqa: S101 - nothing runs before startup
        return self._batcher

    @property
    def worker(self) -> ClassifierWorker:
        """The thread that owns the model."""
        assert self._worker is not None  # noqa: S101 - nothing runs before startup
        return self._worker

    def _decider(self, settings: Settings, source: SourceSettings) -> Decider:
        return Decider(
            source.name,
            self.worker.classifier.calibration,
            settings.decision.decider(source.preset),
            candidates=source.candidates,
            priors=source.priors,
        )

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self.metrics.lag(max(0.0, loop.time() - due))

    # Shutdown.

    async def _dismiss_all(self) -> None:
        posts = list(self._roster.posts.values())
        await self._roster.dismiss(posts)
        for post in posts:
            if post.health is not None and post.health.state != "ended":
                self._heard(replace(post.health, state="ended", since=time.time(), detail=""))

    async def _end_background(self) -> None:
        await cancelled(self._background)
        log.debug("the event loop's worst lag was %.0f ms", 1000 * self.metrics.worst_lag_s)


def _kind(source: SourceSettings) -> str:
    if source.device is not None:
        return "microphone"
    return "rtsp" if source.rtsp is not None else "file"
