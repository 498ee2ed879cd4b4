from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langidd.errors import ConfigError
from langidd.naming import SLUG, host_and_port, slug, slugs, valid_text
from langidd.publish.mqtt.topics import Topics


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Kitchen", "kitchen"),
        ("front_door-2", "front_door-2"),
        ("Кухня", "kukhnya"),
        ("Щёлково, подъезд №3", "shchyolkovo-podezd-no3"),
        ("Oʻquv xonasi", "oquv-xonasi"),
        ("O'quv xonasi", "oquv-xonasi"),
        ("Ўқув ҳовли", "oquv-hovli"),
        ("Київ / їдальня", "kiyiv-yidalnya"),
        ("Straße #1 + Höhe", "strasse-1-hohe"),
        ("İstanbul ıı", "istanbul-ii"),
        ("  a/b//c  ", "a-b-c"),
        ("living room (USB)", "living-room-usb"),
    ],
)
def test_a_name_becomes_a_readable_part_of_a_topic(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["", "   ", "#", "+/+", "会議室", "room 会", "🎤", "a" * 65])
def test_a_name_that_would_lose_letters_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(repr(name))) as refused:
        slug(name)
    assert "\n" not in str(refused.value)


@given(st.text())
def test_whatever_the_name_the_topic_is_clean_or_it_is_refused(name: str) -> None:
    try:
        made = slug(name)
    except ConfigError:
        return
    assert SLUG.fullmatch(made)
    assert slug(made) == made


def test_two_sources_of_one_topic_are_refused_and_both_are_named() -> None:
    with pytest.raises(ConfigError, match="'Кухня' and 'kukhnya'"):
        slugs(["hall", "Кухня", "kukhnya"])
    with pytest.raises(ConfigError, match="hall"):
        slugs(["hall", "hall"])


def test_topics_are_those_of_the_design() -> None:
    topics = Topics.of("langidd", "Дом 2")
    assert topics.status == "langidd/dom-2/status"
    assert topics.of_source("hall", "state") == "langidd/dom-2/hall/state"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("broker.lan", "broker.lan:1883"), ("10.0.0.1", "10.0.0.1:1883"), ("::1", "[::1]:1883")],
)
def test_an_ipv6_address_stands_in_brackets(host: str, expected: str) -> None:
    assert host_and_port(host, 1883) == expected


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_any_name_becomes_text_that_utf_8_can_hold(name: str) -> None:
    assert len(valid_text(name).encode().decode()) == len(name)
