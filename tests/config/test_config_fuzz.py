"""Whatever a configuration holds, it stands or is refused in one line without its secrets."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langidd.cli.flags import assignments, broker, nested
from langidd.config import Settings, load_settings
from langidd.errors import ConfigError
from langidd.redaction import redact

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown
BOUNDED = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def keys_of(schema: dict[str, Any]) -> set[str]:
    """Every key that any table of the configuration has."""
    tables = [schema, *schema.get("$defs", {}).values()]
    return {key for table in tables for key in table.get("properties", {})}


KEYS = sorted(keys_of(Settings.model_json_schema()))
PLAIN = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.text(max_size=20),
    st.sampled_from(
        ["uz", "auto", "-", "5", "/etc/hostname", "rtsp://camera/x", "a b", "Кухня", "#"]
    ),
    st.dates(),
)
SECRET = st.sampled_from(
    [PASSWORD, [PASSWORD], {"password": PASSWORD}, f"rtsp://me:{PASSWORD}@camera/x", ""]
)
URL = st.sampled_from(
    [
        f"{scheme}://{user}:{PASSWORD}@{rest}"
        for scheme in ("rtsp", "rtsps", "mqtt", "http", "")
        for user in ("me", "", "m%40e")
        for rest in ("camera/x", "camera:99999/", "", "[::1", "camera:554/a b", "@@")
    ]
)


@st.composite
def tables(draw: st.DrawFn, depth: int = 3) -> dict[str, Any]:
    """A table of right and wrong keys; PASSWORD only where passwords and URLs stand."""
    table: dict[str, Any] = {}
    for key in draw(st.lists(st.one_of(st.sampled_from(KEYS), st.text(max_size=8)), max_size=6)):
        if re.search("pass|secret", key):
            table[key] = draw(SECRET)
        elif key in {"rtsp", "host"}:
            table[key] = draw(URL | PLAIN)
        elif depth and draw(st.integers(0, 2)) == 0:
            inner = tables(depth=depth - 1)
            table[key] = draw(inner | st.lists(inner, max_size=3))
        else:
            table[key] = draw(PLAIN | st.lists(PLAIN, max_size=3))
    return table


def stands_or_is_refused(flags: dict[str, Any], path: Path | None = None) -> None:
    try:
        loaded = load_settings(path, flags, environment=False)
    except ConfigError as error:
        said = str(error)
        assert said
        assert said.isprintable(), "one line, nothing that moves a terminal's cursor"
        assert PASSWORD not in said
        assert len(said) < 1000
    else:
        assert PASSWORD not in repr(loaded)
        assert PASSWORD not in str(loaded.model_dump())


@BOUNDED
@given(table=tables())
def test_any_table(table: dict[str, Any]):
    stands_or_is_refused(table)


@BOUNDED
@given(
    source=st.fixed_dictionaries(
        {"name": st.text(min_size=1, max_size=12)},
        optional={
            "rtsp": URL,
            "device": PLAIN,
            "file": PLAIN,
            "password": SECRET,
            "candidates": st.lists(PLAIN, max_size=3),
            "priors": st.dictionaries(st.text(max_size=3), PLAIN, max_size=3),
        },
    )
)
def test_any_source(source: dict[str, Any]):
    stands_or_is_refused({"sources": [source]})


@BOUNDED
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file(content: bytes, tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    stands_or_is_refused({}, path)


@BOUNDED
@given(
    cut=st.integers(0, 400),
    put=st.text(alphabet="\"[]{}=\n#\\'., \0\r\u2028", max_size=3),
)
def test_any_damage_to_a_file(cut: int, put: str, tmp_path: Path):
    text = (
        f'[mqtt]\nhost = "b"\nusername = "u"\npassword = "{PASSWORD}"\n'
        f'[[sources]]\nname = "a"\nrtsp = "rtsp://me:{PASSWORD}@camera/x"\n'
    )
    path = tmp_path / "config.toml"
    path.write_text(text[:cut] + put + text[cut:], "utf-8")
    try:
        said = repr(load_settings(path, environment=False))
    except ConfigError as error:
        said = str(error)
        assert said.isprintable()
    # Damage within the password itself may make another text of it; the rest never shows.
    assert PASSWORD not in said


@BOUNDED
@given(name=st.sampled_from(KEYS), text=st.text(max_size=30) | URL)
def test_any_variable(name: str, text: str, monkeypatch: pytest.MonkeyPatch):
    if "\0" in text or not text.isprintable():
        return
    with monkeypatch.context() as patch:
        for key in (f"LANGIDD_{name.upper()}", f"LANGIDD_MQTT__{name.upper()}"):
            patch.setenv(key, text.encode("utf-8", "replace").decode())
        try:
            said = repr(load_settings())
        except ConfigError as error:
            said = str(error)
        assert said.isprintable()
        assert PASSWORD not in said


@BOUNDED
@given(text=st.text(max_size=30), value=PLAIN | URL)
def test_any_flag(text: str, value: Any):
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    try:
        flags = nested({**assignments([f"{text}={shown}"]), **broker(shown)})
    except ConfigError as error:
        said = str(error)
    else:
        stands_or_is_refused(flags)
        return
    assert said.isprintable()
    assert PASSWORD not in redact(said)
