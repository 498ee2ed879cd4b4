"""TLS to a real mosquitto, with certificates that openssl makes here."""

from __future__ import annotations

import gc
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from langidd.config import MqttSettings, TlsSettings, load_settings
from langidd.errors import BrokerError
from langidd.publish.mqtt import connection, delivery
from langidd.publish.mqtt.probe import probe
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.publish.mqtt.tls import tls_context
from langidd.retry import RetryPolicy
from tests.conftest import require
from tests.support.mosquitto_process import Mosquitto, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# paho leaves the socket of a handshake that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    yield
    gc.collect()


KEY_PASSWORD = "key-secret"  # noqa: S105 - of a key that lives for this test


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def authority(place: Path, name: str) -> None:
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-keyout", str(place / f"{name}.key"), "-out", str(place / f"{name}.crt"),
    )  # fmt: skip


def certificate(place: Path, name: str, extension: str, by: str = "ca") -> None:
    (place / "extension").write_text(extension)
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
        "-keyout", str(place / f"{name}.key"), "-out", str(place / f"{name}.csr"),
    )  # fmt: skip
    openssl(
        "x509", "-req", "-days", "2", "-in", str(place / f"{name}.csr"),
        "-CA", str(place / f"{by}.crt"), "-CAkey", str(place / f"{by}.key"), "-CAcreateserial",
        "-extfile", str(place / "extension"), "-out", str(place / f"{name}.crt"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("openssl")
    place: Path = tmp_path_factory.mktemp("certificates")
    authority(place, "ca")
    authority(place, "stranger")
    certificate(place, "server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    certificate(place, "client", "extendedKeyUsage=clientAuth")
    certificate(place, "intruder", "extendedKeyUsage=clientAuth", by="stranger")
    openssl(
        "rsa", "-aes256", "-passout", f"pass:{KEY_PASSWORD}",
        "-in", str(place / "client.key"), "-out", str(place / "client-locked.key"),
    )  # fmt: skip
    return place


def with_tls(certificates: Path, *, client_certificate: bool = True) -> str:
    lines = [
        "allow_anonymous true",
        f"cafile {certificates}/ca.crt",
        f"certfile {certificates}/server.crt",
        f"keyfile {certificates}/server.key",
    ]
    return "\n".join([*lines, f"require_certificate {str(client_certificate).lower()}"])


def settings(broker: Mosquitto, certificates: Path, **tls: Any) -> MqttSettings:
    files = {
        key: certificates / value if key.endswith("_file") else value for key, value in tls.items()
    }
    return MqttSettings(host="127.0.0.1", port=broker.port, tls=TlsSettings(enabled=True, **files))


OURS = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_client_certificate_is_taken(
    tmp_path: Path, certificates: Path, protocol: str
) -> None:
    async with Mosquitto(tmp_path, with_tls(certificates)) as broker:
        given = settings(broker, certificates, **OURS).model_copy(update={"protocol": protocol})
        publisher = MqttPublisher(given, "home", None, lambda _: None)
        async with running(publisher):
            await until(lambda: publisher.delivery.connected and publisher.delivery.published >= 2)
        assert publisher.reconnects == 0


async def test_a_locked_key_opens_with_its_password(tmp_path: Path, certificates: Path) -> None:
    async with Mosquitto(tmp_path, with_tls(certificates)) as broker:
        locked = {**OURS, "key_file": "client-locked.key"}
        await probe(
            settings(broker, certificates, **locked, key_password=SecretStr(KEY_PASSWORD)), "home"
        )
        # Without, or with the wrong one, nobody is asked for it on the terminal.
        for more in ({}, {"key_password": SecretStr("wrong")}):
            with pytest.raises(BrokerError, match=r"client-locked\.key") as refused:
                await probe(settings(broker, certificates, **locked, **more), "home")
            assert "wrong'" not in str(refused.value)


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({"ca_file": "stranger.crt"}, r"mqtt\.tls\.ca_file"),
        ({}, r"mqtt\.tls\.ca_file"),
        ({"ca_file": "ca.crt"}, "asks for .*cert_file"),
        (
            {"ca_file": "ca.crt", "cert_file": "intruder.crt", "key_file": "intruder.key"},
            "does not trust .*cert_file",
        ),
        ({"ca_file": "ca.key"}, r"ca\.key"),
        ({**OURS, "key_file": "server.key"}, "belong together"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_said(
    tmp_path: Path, certificates: Path, tls: dict[str, str], words: str
) -> None:
    async with Mosquitto(tmp_path, with_tls(certificates)) as broker:
        with pytest.raises(BrokerError, match=words) as refused:
            await probe(settings(broker, certificates, **tls), "home")
        assert "\n" not in str(refused.value)


async def test_a_name_that_the_certificate_does_not_have_is_refused(
    tmp_path: Path, certificates: Path
) -> None:
    certificate(certificates, "elsewhere", "subjectAltName=DNS:elsewhere.invalid")
    lines = with_tls(certificates, client_certificate=False).replace("server.", "elsewhere.")
    async with Mosquitto(tmp_path, lines) as broker:
        with pytest.raises(BrokerError, match="certificate is not valid for"):
            await probe(settings(broker, certificates, ca_file="ca.crt"), "home")
        await probe(settings(broker, certificates, insecure=True), "home")


async def test_plain_and_tls_that_meet_each_other_say_so(
    tmp_path: Path, certificates: Path
) -> None:
    async with Mosquitto(tmp_path) as plain:
        with pytest.raises(BrokerError, match=r"does .*speak TLS on this port"):
            await probe(settings(plain, certificates, ca_file="ca.crt"), "home")
    async with Mosquitto(tmp_path, with_tls(certificates)) as secured:
        with pytest.raises(BrokerError, match="does it expect TLS"):
            await probe(MqttSettings(host="127.0.0.1", port=secured.port), "home")


async def test_a_certificate_that_was_renewed_is_read_again(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RETRY", RetryPolicy(longest_s=0.2))
    monkeypatch.setattr(connection, "ANSWER_S", 3.0)
    own = tmp_path / "own"
    own.mkdir()
    for end in ("crt", "key"):
        (own / f"client.{end}").write_bytes((certificates / f"intruder.{end}").read_bytes())
    async with Mosquitto(tmp_path, with_tls(certificates)) as broker:
        tls = TlsSettings(
            enabled=True,
            ca_file=certificates / "ca.crt",
            cert_file=own / "client.crt",
            key_file=own / "client.key",
        )
        given = MqttSettings(host="127.0.0.1", port=broker.port, tls=tls)
        states: list[str] = []
        publisher = MqttPublisher(given, "home", None, states.append)
        async with running(publisher):
            await until(lambda: any(state.startswith("refused") for state in states))
            for end in ("crt", "key"):
                (own / f"client.{end}").write_bytes((certificates / f"client.{end}").read_bytes())
            await until(lambda: publisher.delivery.connected)


def test_tls_files_beside_the_settings_are_found_by_the_service_too(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_bytes((certificates / "ca.crt").read_bytes())
    own = tmp_path / "credentials"
    own.mkdir()
    settings_file = tmp_path / "config.toml"
    settings_file.write_text(
        '[mqtt]\nhost = "broker.lan"\n[mqtt.tls]\nenabled = true\nca_file = "ca.pem"\n'
        'cert_file = "credentials/client.crt"\nkey_file = "credentials/client.key"\n'
    )
    given = tmp_path / "given-by-systemd"
    given.mkdir()
    for name in ("client.crt", "client.key"):
        for place in (own / name, given / f"credentials_{name}"):
            place.write_bytes((certificates / name).read_bytes())
    found = {}
    for directory in ("", str(given)):
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", directory)
        tls = load_settings(settings_file).mqtt.tls
        assert tls_context(tls)
        found[directory] = [str(path) for path in (tls.ca_file, tls.cert_file, tls.key_file)]
    ca = str(tmp_path / "ca.pem")
    assert found[""] == [ca, str(own / "client.crt"), str(own / "client.key")]
    assert found[str(given)] == [
        ca, str(given / "credentials_client.crt"), str(given / "credentials_client.key")
    ]  # fmt: skip
