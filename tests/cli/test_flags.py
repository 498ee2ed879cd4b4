"""Flags become settings: the broker's URL however its host is written."""

from __future__ import annotations

import pytest

from langidd.cli.flags import broker
from langidd.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("broker.lan", "broker.lan", None),
        ("mqtt://broker.lan:1884", "broker.lan", 1884),
        ("mqtt://[::1]:1883", "::1", 1883),
        ("mqtts://[2001:db8::2]", "2001:db8::2", None),
        ("mqtt://[fe80::1%25eth0]:1883", "fe80::1%eth0", 1883),
        ("[::1]", "::1", None),
        ("[::1]:1883", "::1", 1883),
        ("::1", "::1", None),
        ("mqtt://me:p%23@[::1]", "::1", None),
    ],
)
def test_hosts(url: str, host: str, port: int | None):
    given = broker(url)
    assert (given["mqtt.host"], given["mqtt.port"]) == (host, port)


@pytest.mark.parametrize("character", ["#", "?", "/", "["])
def test_a_password_that_is_not_encoded_says_which_character(character: str):
    with pytest.raises(ConfigError) as caught:
        broker(f"mqtt://me:correct{character}horse@broker")
    said = str(caught.value)
    assert f"%{ord(character):02X}" in said
    assert "--mqtt-password-file" in said
    assert "horse" not in said
