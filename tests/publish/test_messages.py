from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from langidd.publish import messages, schemas
from langidd.publish.mqtt import homeassistant
from langidd.publish.mqtt.topics import Topics
from langidd.types import Decision, Health, Span

TIMES = st.floats(0, 4e9)
NUMBERS = st.floats()
LANGUAGES = st.sampled_from(["uz", "ru", "en", "und", "zxx", "zh-hant"])
PROBABILITIES = st.dictionaries(LANGUAGES, NUMBERS, max_size=5)
DECISIONS = st.builds(
    Decision,
    source=st.text(min_size=1),
    language=LANGUAGES,
    confidence=NUMBERS,
    reason=st.sampled_from(["change", "update", "pause"]),
    since=TIMES,
    decided_at=TIMES,
    previous=st.none() | LANGUAGES,
    speech_s=NUMBERS,
    probabilities=PROBABILITIES,
)
HEALTHS = st.builds(
    Health,
    source=st.text(),
    state=st.sampled_from(["connecting", "live", "stalled", "waiting", "ended"]),
    since=TIMES,
    detail=st.text(),
    reconnects=st.integers(0),
)
SPANS = st.builds(
    Span,
    source=st.text(min_size=1),
    number=st.integers(0),
    start=TIMES,
    end=TIMES,
    new_s=NUMBERS,
    segment=st.integers(0),
    is_first=st.booleans(),
    is_last=st.booleans(),
)


def check(name: str, content: object) -> None:
    schema = schemas.load(name)
    jsonschema.Draft202012Validator(schema).validate(content)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_each_schema_is_one_and_its_examples_fit_it(name: str) -> None:
    schema = schemas.load(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["examples"]
    for example in schema["examples"]:
        check(name, example)


@given(DECISIONS, HEALTHS)
def test_every_state_is_json_that_fits_the_schema(decision: Decision, health: Health) -> None:
    check("state", json.loads(messages.state("home", decision, health)))
    check("language", messages.language(decision).decode())


@given(DECISIONS, st.floats(0, 4e9), st.integers(0, 2**80), st.integers(1))
def test_every_event_is_json_that_fits_the_schema(
    decision: Decision, at: float, randomness: int, sequence: int
) -> None:
    identifier = messages.event_identifier(at, randomness)
    check("event", json.loads(messages.event("home", decision, identifier, sequence)))


@given(SPANS, PROBABILITIES)
def test_every_window_is_json_that_fits_the_schema(
    span: Span, probabilities: dict[str, float]
) -> None:
    check("window", json.loads(messages.window("home", span, probabilities)))


@given(st.floats(0, 4e9))
def test_times_are_utc_to_the_millisecond(at: float) -> None:
    text = messages.timestamp(at)
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - at) <= 0.00051
    assert datetime.fromisoformat(text).tzinfo == UTC


@pytest.mark.parametrize("at", [-1.0, 1e20, float("inf"), float("nan")])
def test_a_clock_gone_mad_makes_no_message_impossible(at: float) -> None:
    assert datetime.fromisoformat(messages.timestamp(at))
    assert uuid.UUID(messages.event_identifier(at, 0))


@given(st.integers(0, 2**47), st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_an_identifier_is_a_uuid_of_version_7_that_sorts_by_time(
    milliseconds: int, one: int, other: int
) -> None:
    first = messages.event_identifier(milliseconds / 1000, one)
    second = messages.event_identifier((milliseconds + 1) / 1000, other)
    assert uuid.UUID(first).version == 7
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert uuid.UUID(first).int >> 80 == milliseconds
    assert first < second
    assert (messages.event_identifier(milliseconds / 1000, other) == first) == (one == other)


def test_keys_come_in_the_schemas_order_each_time() -> None:
    event = schemas.load("event")
    (example,) = event["examples"]
    decision = Decision("Kitchen", "uz", 0.5, "change", 0.0, 0.0)
    made = json.loads(messages.event("home", decision, messages.event_identifier(0, 0), 1))
    assert list(made) == list(event["properties"]) == list(example)


def test_home_assistants_templates_give_what_its_entities_take() -> None:
    announcement = messages.SourceAnnouncement("Кухня", ("uz", "ru"), "rtsp")
    config = json.loads(
        homeassistant.source_config(Topics("langidd", "home"), "kukhnya", announcement)
    )
    check("discovery", config)
    components = config["components"]
    decision = Decision("Кухня", "uz", 0.934, "change", 1.5, 2.5, "ru")
    state = json.loads(messages.state("home", decision, Health("Кухня", "live", 0.0)))
    event = json.loads(messages.event("home", decision, messages.event_identifier(0, 0), 1))
    environment = SandboxedEnvironment()
    environment.filters["to_json"] = json.dumps

    def render(component: str, value: object) -> str:
        template = environment.from_string(components[component]["value_template"])
        return template.render(value=value, value_json=value)

    assert render("speech", "zxx") == "OFF"
    assert render("speech", "uz") == "ON"
    assert float(render("confidence", state)) == 93
    assert render("since", state) == "1970-01-01T00:00:01.500Z"
    fired = json.loads(render("event", event))
    assert fired["event_type"] in components["event"]["event_types"]
    assert fired["language"] == "uz"
    assert fired["previous"] == "ru"
    assert set(components["language"]["options"]) == {"uz", "ru", "und", "zxx"}


def test_no_two_entities_share_a_unique_id() -> None:
    topics = Topics("langidd", "a")
    taken = []
    for source in ("b", "b-c", "b_c", "connected"):
        config = json.loads(
            homeassistant.source_config(topics, source, messages.SourceAnnouncement(source))
        )
        taken += [each["unique_id"] for each in config["components"].values()]
    node = json.loads(homeassistant.node_config(topics, "a"))
    check("discovery", node)
    taken += [each["unique_id"] for each in node["components"].values()]
    assert len(taken) == len(set(taken))
