from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from langidd.publish import messages, schemas
from langidd.publish.base import SourceAnnouncement
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


@pytest.mark.parametrize("offsets", [None, messages.Offsets(12.5, 14.0)])
def test_keys_come_in_the_schemas_order_each_time(offsets: messages.Offsets | None) -> None:
    event = schemas.load("event")
    (example,) = event["examples"]
    decision = Decision("Kitchen", "uz", 0.5, "change", 0.0, 0.0)
    identifier = messages.event_identifier(0, 0)
    made = json.loads(messages.event("home", decision, identifier, 1, offsets))
    check("event", made)
    documented = [key for key in event["properties"] if offsets or "offset" not in key]
    assert list(made) == documented
    assert list(example) == [key for key in event["properties"] if "offset" not in key]


NAMES = st.text(min_size=1) | st.binary(min_size=1).map(
    lambda data: data.decode("utf-8", "surrogateescape")
)


@given(NAMES, NAMES, SPANS)
def test_json_stays_json_whatever_bytes_names_hold(name: str, detail: str, span: Span) -> None:
    decision = Decision(name, "uz", 0.5, "change", 0.0, 0.0)
    health = Health(name, "waiting", 0.0, detail)
    announcement = SourceAnnouncement(name)
    for made in (
        messages.state("home", decision, health),
        messages.event("home", decision, messages.event_identifier(0, 0), None),
        messages.window("home", replace(span, source=name), {}),
        homeassistant.source_config(Topics("langidd", "home"), "kitchen", announcement),
        homeassistant.node_config(Topics("langidd", "home"), name),
    ):
        assert b"\n" not in made
        assert json.loads(made.decode("utf-8"))


@st.composite
def consistent_decisions(draw: st.DrawFn) -> Decision:
    """As the decider makes them: the probabilities sum to 1, the language's own is confidence."""
    language, *others = draw(st.permutations(["uz", "ru", "en", "und"]))
    confidence = draw(st.floats(0, 1))
    weights = [draw(st.floats(0.01, 1)) for _ in others]
    rest = {
        label: (1 - confidence) * weight / sum(weights)
        for label, weight in zip(others, weights, strict=True)
    }
    probabilities = {language: confidence, **rest}
    return Decision(
        "Kitchen", language, confidence, "change", 1.0, 2.0, probabilities=probabilities
    )


@given(consistent_decisions())
def test_confidence_and_probabilities_agree_in_every_message(decision: Decision) -> None:
    health = Health("Kitchen", "live", 0.0)
    for made in (
        messages.event("home", decision, messages.event_identifier(0, 0), 1),
        messages.state("home", decision, health),
    ):
        message = json.loads(made)
        assert message["confidence"] == message["probabilities"][message["language"]]
        assert sum(message["probabilities"].values()) == pytest.approx(1, abs=2.1e-4)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30), st.floats(1e9, 4e9))
def test_a_recording_read_at_full_speed_has_wall_times_and_offsets(
    steps: list[tuple[float, bool]], now: float
) -> None:
    times = messages.RecordingTimes()
    since = at = 0.0
    for step, changes in steps:
        at += step
        now += step / 50
        since = at if changes else since
        decision = Decision("talk", "uz", 0.9, "change", since, at)
        placed, offsets = times.place(decision, now)
        assert placed.since <= placed.decided_at == now
        assert now - placed.since <= (at - since) / 50 + 1e-3
        assert (offsets.since_s, offsets.decided_s) == (since, at)
        message = json.loads(
            messages.event("home", placed, messages.event_identifier(now, 0), 1, offsets)
        )
        check("event", message)
        assert message["since"] <= message["decided_at"]
        assert message["decided_offset_s"] == round(at, 3)


def test_home_assistants_templates_give_what_its_entities_take() -> None:
    announcement = SourceAnnouncement("Кухня", ("uz", "ru"), "rtsp")
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
        config = json.loads(homeassistant.source_config(topics, source, SourceAnnouncement(source)))
        taken += [each["unique_id"] for each in config["components"].values()]
    node = json.loads(homeassistant.node_config(topics, "a"))
    check("discovery", node)
    taken += [each["unique_id"] for each in node["components"].values()]
    assert len(taken) == len(set(taken))
