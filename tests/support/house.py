"""A house to break things in: cameras, radios, a broker, a small disk, langidd, a witness."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from tests.support.fault_proxy import FaultProxy
from tests.support.killable_camera import Camera
from tests.support.langidd_under_fault import Langidd
from tests.support.mosquitto_process import Mosquitto
from tests.support.recording import write_recording
from tests.support.small_disk import fill, mounted, remount, unmount
from tests.support.tiny_model import write_tiny_model
from tests.support.witness import Witness

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

STALL_S = 2.0
"""Of silence on a camera that is a fault: short, so that many faults fit into an hour."""
DISK_MIB = 3

BROKER = """allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 0
"""


class House:
    """Everything running; the cameras and the broker are reached over proxies.

    `radios` (files in real time) are never meddled with: whatever happens elsewhere may
    not disturb them.
    """

    def __init__(self, directory: Path, *, cameras: int, radios: int, model: Path | None) -> None:
        self.directory = directory
        self._model = model or write_tiny_model(directory / "model")
        self._recording = write_recording(directory / "speech.wav")
        self.cameras = [Camera(f"camera-{number}", self._recording) for number in range(cameras)]
        self.radios = [
            (f"radio-{number}", write_recording(directory / f"radio-{number}.wav", skip=number + 1))
            for number in range(radios)
        ]
        self.guests: list[str] = []
        """Sources that a reload adds: further radios."""
        self.broker = Mosquitto(directory, BROKER)
        self.proxy = FaultProxy(self.broker.port)
        self.langidd = Langidd(directory)
        self.state = directory / "state"
        self.disk_is_small = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.state.mkdir()
            self._mount(stack)
            await stack.enter_async_context(self.broker)
            await stack.enter_async_context(self.proxy)
            self.witness = await stack.enter_async_context(Witness(self.broker.port))
            for camera in self.cameras:
                await stack.enter_async_context(camera)
            self.configure()
            stack.push_async_callback(self._end_langidd)
            await self.langidd.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def sources(self) -> list[str]:
        return [camera.name for camera in self.cameras] + [name for name, _ in self.radios]

    def configure(self, *more: str) -> None:
        """Write the configuration; the shortest settings that are honest."""
        tables = [
            f"""
node = "house"
state_directory = "{self.state}"
[model]
path = "{self._model}"
device = "cpu"
threads = 1
[vad]
engine = "webrtc"
min_silence_s = 0.3
[windows]
first_s = 0.5
[mqtt]
host = "127.0.0.1"
port = {self.proxy.port}
keepalive_s = 5
[http]
port = {self.langidd.http_port}
[log]
level = "debug"
format = "human"
""",
            *(
                f'[[sources]]\nname = "{camera.name}"\nrtsp = "{camera.url}"\nstall_s = {STALL_S}\n'
                for camera in self.cameras
            ),
            *(
                f'[[sources]]\nname = "{name}"\nfile = "{path}"\nrealtime = true\nloop = true\n'
                for name, path in [*self.radios, *((name, self._recording) for name in self.guests)]
            ),
            *more,
        ]
        self.langidd.config.write_text("".join(tables), encoding="utf-8")

    def fill_disk(self) -> None:
        """Leave not a byte on the disk of the outbox."""
        fill(self.state)

    def empty_disk(self) -> None:
        (self.state / "filler").unlink()

    def make_disk_read_only(self) -> None:
        remount(self.state, "ro")

    def make_disk_writable(self) -> None:
        remount(self.state, "rw")

    def _mount(self, stack: AsyncExitStack) -> None:
        """Put the outbox on a small disk of its own, where we may."""
        if mounted(self.state, DISK_MIB):
            self.disk_is_small = True
            stack.callback(unmount, self.state)

    async def _end_langidd(self) -> None:
        if self.langidd.process.returncode is None:
            await self.langidd.end()
