"""The thread in which voice activity is computed, for all sources together.

Voice activity costs time for every second of sound, so it does not run on the event loop.
The thread takes the chunks of all sources that wait, and gives the network one step for all
sources that have a block due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from langidd.speech.vad import VoiceDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from langidd.speech.base import VoiceNetwork
    from langidd.speech.vad import Cut, Engine
    from langidd.types import Chunk


@dataclass(slots=True)
class _Job:
    """A chunk that waits for the thread, and then what came of it."""

    source: SourceVoice
    chunk: Chunk
    cut: Cut | None = None
    voiced: npt.NDArray[np.bool_] | None = None
    error: Exception | None = None


class SourceVoice:
    """The voice activity of one source (a `VoiceActivity`)."""

    def __init__(self, worker: VadWorker, detector: VoiceDetector) -> None:
        self.detector = detector
        self.row: int | None = None
        self._worker = worker

    async def voiced(self, chunk: Chunk) -> npt.NDArray[np.bool_]:
        """Judge the 30 ms frames that a chunk completes; returns `(frames,) bool`."""
        return await self._worker.voiced(self, chunk)

    def close(self) -> None:
        """Free what the network keeps for the source."""
        self._worker.forget(self)


class VadWorker:
    """One thread and one network for all sources."""

    def __init__(self, make_network: Callable[[], VoiceNetwork] | None = None) -> None:
        """Prepare a worker.

        Args:
            make_network: Makes the network; called in the thread, once a source needs it.

        """
        self._make_network = make_network or _silero
        self._network: VoiceNetwork | None = None
        self._jobs: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice activity")

    def open(self, engine: Engine, aggressiveness: int, threshold: float) -> SourceVoice:
        """Return the voice activity of a source that begins now.

        Args:
            engine: Which detectors decide: `webrtc`, `silero` or `both`.
            aggressiveness: WebRTC's, 0 to 3.
            threshold: Silero's probability from which a frame is speech.

        """
        return SourceVoice(self, VoiceDetector(engine, aggressiveness, threshold))

    def close(self) -> None:
        """Let the thread end after the chunks that it has."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def voiced(self, source: SourceVoice, chunk: Chunk) -> npt.NDArray[np.bool_]:
        """Judge a source's chunk, together with what waits of other sources."""
        job = _Job(source, chunk)
        self._jobs.append(job)
        # Whichever call reaches the thread first takes all jobs; the others find none.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._work)
        if job.error is not None:
            raise job.error
        assert job.voiced is not None  # noqa: S101 - the thread is through with it
        return job.voiced

    def forget(self, source: SourceVoice) -> None:
        """Free a source's row of the network."""
        self._thread.submit(self._free, source)

    # In the thread.

    def _work(self) -> None:
        jobs = [self._jobs.popleft() for _ in range(len(self._jobs))]
        for job in jobs:
            try:
                job.cut = job.source.detector.cut(job.chunk)
            except Exception as error:  # noqa: BLE001 - raised where the source waits
                job.error = error
        due = [(job, job.cut) for job in jobs if job.cut is not None]
        try:
            for (job, cut), probabilities in zip(due, self._judge(due), strict=True):
                job.voiced = job.source.detector.finish(cut, probabilities)
        except Exception as error:  # noqa: BLE001 - raised where the sources wait
            for job, _ in due:
                job.error = error

    def _judge(self, due: Sequence[tuple[_Job, Cut]]) -> list[npt.NDArray[np.float32]]:
        """Give the network its blocks: the first of every source, then the second, and so on."""
        judged = [np.empty(len(cut.blocks), np.float32) for _, cut in due]
        for place in range(max((len(cut.blocks) for _, cut in due), default=0)):
            members = [index for index, (_, cut) in enumerate(due) if place < len(cut.blocks)]
            rows = [self._row(due[index][0].source) for index in members]
            restarted = [
                row
                for row, index in zip(rows, members, strict=True)
                if due[index][1].restarts[place]
            ]
            if restarted:
                self._net.reset(restarted)
            blocks = np.stack([due[index][1].blocks[place] for index in members])
            for index, probability in zip(members, self._net.step(blocks, rows), strict=True):
                judged[index][place] = probability
        return judged

    @property
    def _net(self) -> VoiceNetwork:
        if self._network is None:
            self._network = self._make_network()
        return self._network

    def _row(self, source: SourceVoice) -> int:
        if source.row is None:
            source.row = self._net.open()
        return source.row

    def _free(self, source: SourceVoice) -> None:
        if source.row is not None:
            self._net.close(source.row)
            source.row = None


def _silero() -> VoiceNetwork:
    from langidd.speech.silero import SileroNetwork

    return SileroNetwork()
