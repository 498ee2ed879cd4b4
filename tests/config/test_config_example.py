"""The example configuration stands as it is, and shows every key with its default."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretStr

from langidd.config import (
    DecisionSettings,
    MqttSettings,
    Settings,
    SourceSettings,
    TlsSettings,
    load_settings,
)
from langidd.decision.presets import DeciderSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXT = files("langidd.service.unit").joinpath("config.toml").read_text("utf-8")

NO_DEFAULT = {
    # keys whose default is nothing: the example shows something that could be given
    Settings: {"node", "state_directory"},
    SourceSettings: {"name", "device", "rtsp", "file", "username", "password", "password_file",
                     "candidates", "priors", "preset", "realtime", "loop", "track"},
    MqttSettings: {"host", "port", "username", "password", "password_file", "client_id"},
    TlsSettings: {"ca_file", "cert_file", "key_file", "key_password", "key_password_file"},
}  # fmt: skip


def shown() -> dict[str, Any]:
    """Everything in the example, with the # before each key taken away."""
    lines = [re.sub(r"^#(?=[a-z_]+ = )", "", line) for line in TEXT.splitlines()]
    return tomllib.loads("\n".join(lines))


def tables(model: type[BaseModel], given: dict[str, Any]):
    """Every model beneath `model`, with its table of the example."""
    yield model, given
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                table = given[name]
                yield from tables(kind, table[0] if isinstance(table, list) else table)


def test_the_example_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    path = tmp_path / "config.toml"
    path.write_text(TEXT, "utf-8")
    settings = load_settings(path, environment=False)
    plain = Settings(sources=settings.sources)
    assert settings == plain, "without its # the example changes nothing but the sources"


def test_the_example_shows_every_key():
    for model, table in tables(Settings, shown()):
        assert set(table) == set(model.model_fields), model.__name__


def test_the_example_shows_the_defaults():
    for model, table in tables(Settings, shown()):
        for name, field in model.model_fields.items():
            kind = field.annotation
            if isinstance(table[name], dict | list) or name in NO_DEFAULT.get(model, set()):
                continue
            if model is DecisionSettings and name != "preset":
                continue  # the presets' own numbers are tuned now and then
            if name == "max_delay_ms":
                assert table[name] == 20.0, "the CPU's"
            elif kind is not SecretStr and (model.__name__, name) != ("HttpSettings", "port"):
                assert table[name] == field.get_default(), (model.__name__, name)


def test_the_shown_numbers_of_decisions_stand():
    DecisionSettings.model_validate(shown()["decision"])


def test_every_number_of_the_presets_is_a_key():
    assert set(DecisionSettings.model_fields) - {"preset"} == set(
        DeciderSettings.__dataclass_fields__
    )
