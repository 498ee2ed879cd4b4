"""Flags win over variables, variables over the file; passwords come from files too."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from langidd.config import MqttSettings, Settings, SourceSettings, load_settings
from langidd.errors import ConfigError

PASSWORD = "correct-horse-battery"  # noqa: S105 - what must never be shown


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LANGIDD_") or name in {"STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"}:
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        'node = "file"\n[mqtt]\nhost = "file"\nport = 1\nkeepalive_s = 60\n'
        '[[sources]]\nname = "a"\nrtsp = "rtsp://camera/"\n[[sources]]\nname = "b"\ndevice = 0\n'
    )
    return path


def test_each_layer_wins_over_the_one_below(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANGIDD_NODE", "variable")
    monkeypatch.setenv("LANGIDD_MQTT__HOST", "variable")
    monkeypatch.setenv("langidd_mqtt__port", "2")
    settings = load_settings(
        file, {"mqtt": {"host": "flag"}}, defaults={"mqtt": {"keepalive_s": 5, "windows": True}}
    )
    assert settings.node == "variable"
    assert (settings.mqtt.host, settings.mqtt.port) == ("flag", 2)
    assert settings.mqtt.keepalive_s == 60, "the file wins over a command's own default"
    assert settings.mqtt.windows


def test_variables_are_texts_of_every_type(file: Path, monkeypatch: pytest.MonkeyPatch):
    for name, text in {
        "MODEL__MAX_DELAY_MS": "7.5",
        "MODEL__CPU_FALLBACK": "no",
        "MQTT__PASSWORD": "12345",
        "MQTT__TLS__ENABLED": "true",
        "STATE_DIRECTORY": "/var/lib/x",
        "DECISION__ENTER_THRESHOLD": "0.9",
        "SOURCES__0__PASSWORD": PASSWORD,
        "SOURCES__0__STALL_S": "20",
        "SOURCES__1__DEVICE": "3",
        "SOURCES__1__CANDIDATES": '["uz", "ru"]',
    }.items():
        monkeypatch.setenv(f"LANGIDD_{name}", text)
    settings = load_settings(file)
    assert settings.model.max_delay_ms == 7.5
    assert settings.model.cpu_fallback is False
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.get_secret_value() == "12345"
    assert settings.mqtt.port_number == 1
    assert settings.state_directory == Path("/var/lib/x")
    assert settings.decision.decider().enter_threshold == 0.9
    camera, microphone = settings.sources
    assert camera.password is not None
    assert camera.password.get_secret_value() == PASSWORD
    assert camera.stall_s == 20
    assert microphone.device == 3
    assert microphone.candidates == ["uz", "ru"]


def test_sources_may_come_from_one_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANGIDD_SOURCES", '[{"name": "x", "device": "USB Audio"}]')
    assert load_settings().sources == [SourceSettings(name="x", device="USB Audio")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("LANGIDD_MQTT__PORT", "many", "LANGIDD_MQTT__PORT: mqtt.port is 'many'"),
        ("LANGIDD_MQTT__PROT", "1", "did you mean mqtt.port?"),
        ("LANGIDD_NOED", "x", "unknown variable LANGIDD_NOED; did you mean node?"),
        ("LANGIDD_SOURCES", f'[{{"password": "{PASSWORD}"', "LANGIDD_SOURCES is no JSON"),
        ("LANGIDD_SOURCES__7__NAME", "x", "LANGIDD_SOURCES__7: there are 2"),
        ("LANGIDD_MQTT", PASSWORD, "LANGIDD_MQTT"),
        ("LANGIDD_SOURCES__0__RTSP", f"http://u:{PASSWORD}@c/", "sources[0]"),
    ],
)
def test_a_wrong_variable_is_named(
    name: str, text: str, said: str, file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_state_directory_is_systemds_where_none_is_given(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/langidd:/var/lib/other")
    assert load_settings(file).state_directory == Path("/var/lib/langidd")
    given = load_settings(file, {"state_directory": "/x"})
    assert given.state_directory == Path("/x")


def test_a_password_file_lies_beside_the_configuration(file: Path):
    (file.parent / "secret").write_text(PASSWORD + "\n")
    settings = load_settings(file, {"mqtt": {"password_file": "secret"}})
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.get_secret_value() == PASSWORD
    assert PASSWORD not in repr(settings)
    assert PASSWORD in settings.secrets()


def test_the_secrets_of_paths_and_queries_and_of_basic_authentication_are_known():
    settings = Settings.model_validate(
        {
            "mqtt": {"host": "b", "username": "me", "password": PASSWORD},
            "sources": [{"name": "a", "rtsp": "rtsp://c/key/abcdef/x?token=uvw_xyz"}],
        }
    )
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert {"abcdef", "uvw_xyz", PASSWORD, basic} <= settings.secrets()
    shown = repr(settings)
    assert "abcdef" not in shown
    assert "uvw_xyz" not in shown


def test_a_password_file_is_systemds_credential(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    credentials = tmp_path / "given"
    credentials.mkdir()
    # LoadCredential=credentials:/etc/langidd/credentials names the files of a directory so
    (credentials / "credentials_mqtt").write_text(PASSWORD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    settings = load_settings(file, {"mqtt": {"password_file": "credentials/mqtt"}})
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"\xff", "UTF-8"), (b"x" * 70_000, "no password"), (None, "cannot")],
)
def test_a_file_that_holds_no_password_is_named(content: bytes | None, said: str, file: Path):
    if content is not None:
        (file.parent / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(file, {"mqtt": {"password_file": "secret"}})
    assert "password" in str(caught.value)


def test_a_url_gives_its_credentials_away_to_the_keys():
    source = SourceSettings(name="a", rtsp="rtsp://me:p%40ss%2Fword@camera:554/x?channel=1")
    assert source.rtsp == "rtsp://camera:554/x?channel=1"
    assert source.username == "me"
    assert source.password is not None
    assert source.password.get_secret_value() == "p@ss/word"
    secrets = Settings(sources=[source]).secrets()
    assert {"p@ss/word", "p%40ss%2Fword"} <= secrets
    assert "p@ss" not in repr(source)


def test_a_login_in_the_path_is_a_secret_too():
    source = SourceSettings(name="a", rtsp=f"rtsp://camera/user=admin_password={PASSWORD}_x=1.sdp")
    assert PASSWORD in Settings(sources=[source]).secrets()
    assert PASSWORD not in repr(source)


def test_settings_that_are_the_same_are_equal(file: Path):
    assert load_settings(file) == load_settings(file)
    assert load_settings(file) != load_settings(file, {"node": "other"})


def test_the_usual_ports():
    assert MqttSettings().port_number == 1883
    assert MqttSettings.model_validate({"tls": {"enabled": True}}).port_number == 8883
