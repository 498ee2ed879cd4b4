"""Metrics and health over HTTP, as Prometheus and a probe read them from a running daemon."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from langidd.config import Settings
from langidd.errors import ServiceError
from langidd.observability.http import Endpoint
from langidd.observability.metrics import Metrics
from langidd.service.daemon import Daemon
from tests.conftest import DEMO_RECORDING
from tests.support.mosquitto_process import free_port

if TYPE_CHECKING:
    from pathlib import Path


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("source", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_running_daemon_shows_what_it_does(stock_model: Path) -> None:
    port = free_port()
    settings = Settings.model_validate(
        {
            "model": {"path": str(stock_model), "context": "trimmed"},
            "http": {"port": port},
            "sources": [
                {"name": "Good", "file": str(DEMO_RECORDING), "realtime": True, "loop": True},
                {"name": "bad", "rtsp": "rtsp://127.0.0.1:9/none"},
            ],
        }
    )
    scored = asyncio.Event()
    waiting = asyncio.Event()
    daemon = Daemon(
        settings,
        publish=False,
        on_scores=lambda _scores, _probabilities: scored.set(),
        on_health=lambda health: (
            waiting.set() if (health.source, health.state) == ("bad", "waiting") else None
        ),
    )
    running = asyncio.create_task(daemon.run())
    async with asyncio.timeout(60):
        await scored.wait()
        await waiting.wait()
    metrics = await asyncio.to_thread(_get, port, "/metrics")
    health = await asyncio.to_thread(_get, port, "/healthz")
    nothing = await asyncio.to_thread(_get, port, "/elsewhere")
    assert daemon.moving(within_s=5.0)
    daemon.stop()
    await running

    samples = _samples(metrics[1])
    assert samples["langidd_source_up", "good"] == 1
    assert samples["langidd_source_up", "bad"] == 0
    assert samples["langidd_audio_seconds_total", "good"] >= 1
    assert samples["langidd_windows_total", "good"] >= 1
    assert samples["langidd_inference_seconds_count", ""] >= 1
    assert ("langidd_event_loop_lag_seconds_count", "") in samples
    assert samples["langidd_source_faults_total", "good"] == 0
    assert health[0] == 503
    assert json.loads(health[1])["sources"] == {"Good": "live", "bad": "waiting"}
    assert nothing[0] == 404


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    endpoint = Endpoint("127.0.0.1", 0, Metrics().registry, lambda: (True, {}))
    with pytest.raises(ServiceError, match=r"http\.port: cannot listen on 127\.0\.0\.1"):
        Endpoint("127.0.0.1", endpoint.port, Metrics().registry, lambda: (True, {}))
    assert _get(endpoint.port, "/healthz") == (200, "{}")
    endpoint.close()
