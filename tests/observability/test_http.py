"""Metrics and health over HTTP, as Prometheus and a probe read them from a running daemon."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from langidd.config import Settings
from langidd.errors import ServiceError
from langidd.model import registry
from langidd.observability.http import Endpoint
from langidd.observability.metrics import Metrics
from langidd.service.daemon import Daemon
from tests.conftest import DEMO_RECORDING, ROOT
from tests.support.faulty_model import fails_while
from tests.support.mosquitto_process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from langidd.config import ModelSettings
    from langidd.model.base import Model
    from langidd.types import Health

GOOD = {"name": "Good", "file": str(DEMO_RECORDING), "realtime": True, "loop": True}
PATIENCE_S = 60.0


def _get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("source", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ready(status: int, _: Any) -> bool:
    return status == 200


class Watched:
    """A daemon that runs, its pages, and what became of its sources."""

    def __init__(
        self, stock_model: Path, *sources: dict[str, Any], mqtt_port: int | None = None
    ) -> None:
        self.port = free_port()
        settings = Settings.model_validate(
            {
                "model": {"path": str(stock_model), "context": "trimmed"},
                "http": {"port": self.port},
                "mqtt": {"host": "127.0.0.1", "port": mqtt_port or 9},
                "sources": list(sources),
            }
        )
        self.healths: list[Health] = []
        self.daemon = Daemon(settings, publish=mqtt_port is not None, on_health=self.healths.append)

    async def get(self, path: str) -> tuple[int, Any]:
        status, text = await asyncio.to_thread(_get, self.port, path)
        return status, json.loads(text)

    async def until(self, path: str, true: Callable[[int, Any], object]) -> Any:
        """Ask until the answer's status and content make it true; the content then."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    status, content = await self.get(path)
                except OSError:  # not served yet
                    status, content = 0, None
                if true(status, content):
                    return content
                await asyncio.sleep(0.1)

    async def metrics(self) -> dict[tuple[str, str], float]:
        return _samples((await asyncio.to_thread(_get, self.port, "/metrics"))[1])

    async def _ready(self, task: asyncio.Task[None]) -> None:
        ready = asyncio.create_task(self.daemon.ready.wait())
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        assert not task.done(), task.exception()

    @asynccontextmanager
    async def running(self, *, ready: bool = True) -> AsyncIterator[None]:
        task = asyncio.create_task(self.daemon.run())
        try:
            if ready:
                await self._ready(task)
            yield
        finally:
            self.daemon.stop()
            await task


async def test_one_camera_that_is_down_is_no_reason_to_restart_or_to_wait(
    stock_model: Path,
) -> None:
    watched = Watched(stock_model, GOOD, {"name": "bad", "rtsp": "rtsp://127.0.0.1:9/none"})
    async with watched.running():
        await watched.until("/readyz", ready)
        await watched.until("/sources", lambda _, page: page["bad"]["state"] == "waiting")
        await watched.until("/sources", lambda _, page: page["Good"]["language"] is not None)
        assert await watched.get("/livez") == (200, {"live": True, "reasons": []})
        status, page = await watched.get("/readyz")
        assert status == 200
        assert page["sources"] == {"Good": "live", "bad": "waiting"}
        assert page["mqtt"] is None
        assert await watched.get("/healthz") == (status, page), "the older address"
        sources = (await watched.get("/sources"))[1]
        assert sources["Good"]["seconds_since_audio"] < 5
        assert sources["bad"]["seconds_since_audio"] is None
        assert "127.0.0.1" in sources["bad"]["detail"]
        missing = await asyncio.to_thread(_get, watched.port, "/elsewhere")
        assert missing == (404, "no such page; there are /metrics, /livez, /readyz, /sources\n")
        samples = await watched.metrics()
    assert samples["langidd_source_up", "good"] == 1
    assert samples["langidd_source_up", "bad"] == 0
    assert samples["langidd_audio_seconds_total", "good"] >= 1
    assert samples["langidd_inference_seconds_count", ""] >= 1
    assert ("langidd_event_loop_lag_seconds_count", "") in samples
    assert samples["langidd_source_faults_total", "good"] == 0


async def test_no_source_that_gives_audio_is_not_ready_but_live(stock_model: Path) -> None:
    watched = Watched(stock_model, {"name": "bad", "rtsp": "rtsp://127.0.0.1:9/none"})
    async with watched.running():
        await watched.until(
            "/readyz",
            lambda status, page: (
                status == 503 and page["reasons"] == ["none of 1 sources gives audio"]
            ),
        )
        assert (await watched.get("/livez"))[0] == 200


async def test_a_broker_that_is_away_is_not_ready_but_live(stock_model: Path) -> None:
    watched = Watched(stock_model, GOOD, mqtt_port=free_port())
    async with watched.running():
        page = await watched.until(
            "/readyz",
            lambda status, page: (
                status == 503 and "no connection to the broker" in str(page["reasons"])
            ),
        )
        assert page["mqtt"]["connected"] is False
        assert (await watched.metrics())["langidd_ready", ""] == 0
        assert (await watched.get("/livez"))[0] == 200


async def test_every_metric_is_documented_and_no_other(stock_model: Path) -> None:
    watched = Watched(stock_model, GOOD, mqtt_port=free_port())
    async with watched.running():
        text = (await asyncio.to_thread(_get, watched.port, "/metrics"))[1]
    shown = set(re.findall(r"^# TYPE (langidd_\w+) ", text, re.MULTILINE))
    shown -= {name for name in shown if name.endswith("_created")}
    documented = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert shown == set(re.findall(r"`(langidd_\w+)", documented))


async def test_a_model_that_fails_on_every_window_is_not_ready_and_no_source_is_live(
    stock_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = threading.Event()
    monkeypatch.setattr(registry, "open_model", fails_while(failing.is_set))
    watched = Watched(stock_model, GOOD)
    async with watched.running():
        failing.set()
        page = await watched.until(
            "/readyz", lambda status, page: status == 503 and "model failed" in str(page["reasons"])
        )
        assert page["ready"] is False
        assert watched.healths[-1].state == "stalled"
        assert "the model failed" in watched.healths[-1].detail
        assert "the model failed on each of the last" in page["reasons"][0]
        assert page["sources"] == {"Good": "live"}, "the source itself is well"
        assert "the model failed on each" in watched.daemon.status
        failed = (await watched.metrics())["langidd_windows_failed_total", "good"]
        assert failed >= 3
        assert "none has been scored" in watched.daemon.health.stuck(0.1), "a restart may help"
        lines = [r for r in caplog.records if "the model failed on 1 window" in r.getMessage()]
        assert len(lines) == 1, "once a minute, not once a window"

        failing.clear()
        await watched.until("/readyz", ready)
        assert watched.healths[-1].state == "live"
        assert watched.daemon.health.stuck(30.0) == ""
        assert (await watched.metrics())["langidd_windows_total", "good"] >= 1


async def test_while_the_model_is_loaded_it_is_live_and_not_ready(
    stock_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    open_model = registry.open_model

    def slow(settings: ModelSettings) -> Model:
        model = open_model(settings)
        start = model.start

        async def when_told() -> None:
            await go_on.wait()
            await start()

        model.start = when_told  # type: ignore[method-assign]
        return model

    monkeypatch.setattr(registry, "open_model", slow)
    watched = Watched(stock_model, GOOD)
    async with watched.running(ready=False):
        page = await watched.until("/readyz", lambda status, _: status == 503)
        assert page["reasons"] == ["the model is being loaded"]
        assert (await watched.get("/livez"))[0] == 200
        go_on.set()
        await watched.until("/readyz", ready)


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    endpoint = Endpoint("127.0.0.1", 0, Metrics().registry, {"/livez": lambda: (True, {})})
    with pytest.raises(ServiceError, match=r"http: cannot listen on 127\.0\.0\.1"):
        Endpoint("127.0.0.1", endpoint.port, Metrics().registry, {})
    assert _get(endpoint.port, "/livez") == (200, "{}")
    endpoint.close()


def test_an_ipv6_address_is_listened_on() -> None:
    endpoint = Endpoint("::1", 0, Metrics().registry, {"/livez": lambda: (False, {"live": False})})
    assert _get(endpoint.port, "/livez", "[::1]") == (503, '{"live": false}')
    endpoint.close()


def test_a_host_that_is_none_is_one_clear_line() -> None:
    with pytest.raises(ServiceError, match=r"http: cannot listen on no\.such\.host\.invalid:9"):
        Endpoint("no.such.host.invalid", 9, Metrics().registry, {})
