"""Getting data and giving the model away, against a service of our own on this machine."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from langidd.errors import ConfigError, LangiddError
from langidd_training.data.corpus import read_corpora
from langidd_training.data.download import download
from langidd_training.data.hub import stream_from_hub
from langidd_training.fit.push import push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def archive() -> bytes:
    """A Common Voice release of one clip, large enough to be interrupted."""
    noise = np.random.default_rng(0).bytes(400_000)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in (
            ("cv-corpus-23.0/uz/train.tsv", b"client_id\tpath\tlocale\nx\tone.mp3\tuz\n"),
            ("cv-corpus-23.0/uz/clips/one.mp3", noise),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


class Collective(ThreadingHTTPServer):
    """What is used of the Mozilla Data Collective's API; the first download is cut off."""

    daemon_threads = True

    def __init__(self, *, cut: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.content = archive()
        self.cut = cut
        self.ranges: list[str | None] = []
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Collective
    item: ClassVar = {
        "id": "set-uz",
        "name": "Common Voice Scripted Speech 23.0 - Uzbek",
        "filename": "uz.tar.gz",
    }

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/datasets?"):
            items = [self.item] if "locale=uz" in self.path else []
            self.answer({"items": items, "total": len(items)})
        elif self.path == "/datasets/set-uz":
            self.answer(self.item)
        elif self.path == "/file":
            self.send_file()
        else:
            self.answer({"error": "no such data set"}, 404)

    def do_POST(self) -> None:
        if self.headers["Authorization"] != "Bearer secret-key":
            self.answer({"error": "who are you"}, 401)
            return
        size, url = len(self.server.content), f"{self.server.url}/file"
        self.answer({"downloadUrl": url, "sizeBytes": size, "checksum": "abc"})

    def send_file(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        content = self.server.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.cut:
            self.server.cut = False
            self.wfile.write(content[:200_000])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(content)

    def answer(self, body: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collective(monkeypatch: pytest.MonkeyPatch, *, cut: bool = False) -> Iterator[Collective]:
    server = Collective(cut=cut)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MDC_API_URL", server.url)
    monkeypatch.setenv("MDC_API_KEY", "secret-key")
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_a_language_is_found_downloaded_and_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with collective(monkeypatch):
        place = download("uz", tmp_path)
    (clip,) = read_corpora([place], ["uz"])
    assert clip.path.is_file()
    assert (clip.language, clip.split) == ("uz", "train")


def test_an_interrupted_download_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with collective(monkeypatch, cut=True) as server:
        with pytest.raises(LangiddError, match="run it again"):
            download("uz", tmp_path)
        (partial,) = tmp_path.glob("*.part")
        have = partial.stat().st_size
        assert 0 < have <= 200_000
        place = download("uz", tmp_path)
        assert server.ranges == [None, f"bytes={have}-"]
        assert (place / "clips" / "one.mp3").stat().st_size == 400_000
        download("uz", tmp_path)
        assert len(server.ranges) == 2


def test_what_goes_wrong_is_said_without_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with collective(monkeypatch):
        with pytest.raises(ConfigError, match="no Common Voice in this language"):
            download("xx", tmp_path)
        with pytest.raises(ConfigError, match="no such data set"):
            download("set_nowhere", tmp_path)
        monkeypatch.setenv("MDC_API_KEY", "wrong-key")
        with pytest.raises(ConfigError, match="MDC_API_KEY") as refused:
            download("uz", tmp_path)
        assert "wrong-key" not in str(refused.value)
        monkeypatch.delenv("MDC_API_KEY")
        with pytest.raises(ConfigError, match="MDC_API_KEY"):
            download("uz", tmp_path)


def test_a_hub_data_set_is_streamed_to_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = tmp_path / "source"
    source.mkdir()
    sound = io.BytesIO()
    tone = (0.1 * np.sin(np.arange(16_000) / 10)).astype(np.float32)
    soundfile.write(sound, tone, 16_000, format="WAV")
    rows = [
        {
            "audio": {"bytes": sound.getvalue(), "path": f"{name}.wav"},
            "language": name,
            "client_id": f"c{name}",
        }
        for name in ("uz", "ru", "kk")
    ]
    features = {"audio": {"_type": "Audio"}} | {
        name: {"dtype": "string", "_type": "Value"} for name in ("language", "client_id")
    }
    said = json.dumps({"info": {"features": features}})
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"huggingface": said})
    pq.write_table(table, source / "train.parquet")

    manifest = stream_from_hub(str(tmp_path / "source"), tmp_path / "out", clips=2)
    clips = read_corpora([manifest], ["uz", "ru", "en"])
    assert [clip.language for clip in clips] == ["uz", "ru"]
    assert [clip.speaker.split("/")[1] for clip in clips] == ["cuz", "cru"]
    assert all(clip.path.is_file() for clip in clips)

    whole = stream_from_hub(str(tmp_path / "source"), tmp_path / "one", language="=uz")
    assert {clip.language for clip in read_corpora([whole], ["uz"])} == {"uz"}
    with pytest.raises(ConfigError, match="'sound'"):
        stream_from_hub(str(tmp_path / "source"), tmp_path / "bad", audio="sound")


class FakeHub:
    """Notes what it is sent."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.sent: list[dict[str, Any]] = []

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert private
        assert exist_ok
        self.made.append(repo_id)

    def upload_folder(self, **keywords: Any) -> None:
        self.sent.append(keywords)


def test_a_model_is_pushed_with_its_card_or_not_at_all(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"langidd": {"format": 1}}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "preprocessor_config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("not for the hub")
    hub = FakeHub()
    with pytest.raises(ConfigError, match=r"README\.md is missing.*report"):
        push(tmp_path, "me/model", hub=hub)
    (tmp_path / "README.md").write_text("# A card without a head")
    with pytest.raises(ConfigError, match="licence"):
        push(tmp_path, "me/model", hub=hub)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A card")
    assert not hub.made
    expected = ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    assert push(tmp_path, "me/model", dry_run=True, hub=hub) == expected
    assert not hub.made
    assert push(tmp_path, "me/model", hub=hub) == expected
    assert hub.made == ["me/model"]
    assert hub.sent[0]["folder_path"] == str(tmp_path)
    assert "*.txt" not in hub.sent[0]["allow_patterns"]
