"""`langidd listen --mqtt`: one source on the terminal and at a broker, beside the service."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from tests.conftest import DEMO_RECORDING
from tests.support.mosquitto_process import Mosquitto, listen_all

if TYPE_CHECKING:
    from pathlib import Path


async def test_listen_publishes_as_a_node_of_its_own(stock_model: Path, tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "langidd", "listen", str(DEMO_RECORDING), "--json",
            "--model", str(stock_model), "-s", "model.context=trimmed",
            "--mqtt", f"mqtt://127.0.0.1:{broker.port}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        # What it announced is withdrawn when it ends.
        await listener.until(lambda heard: heard.of("-listen/status")[-1:]
            and heard.of("-listen/status")[-1].payload == "")  # fmt: skip
    assert process.returncode == 0
    shown = [json.loads(line) for line in output.decode().splitlines()]
    decided = [line for line in shown if line.get("type") == "decision"]
    told = [each.json for each in listener.of("/conversation/event")]
    assert told
    assert {event["node"] for event in told} == {listener.of("/status")[0].topic.split("/")[1]}
    assert [event["language"] for event in told] == [
        line["language"] for line in decided if line["reason"] != "update"
    ]
