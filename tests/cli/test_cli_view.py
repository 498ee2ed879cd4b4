"""What `listen` shows, in its three forms."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from langidd.cli.letters import big
from langidd.cli.timeline import legend, timeline
from langidd.cli.view import JsonView, LineView, PictureView, clock_time
from langidd.types import Decision, Health, Scores, Span

if TYPE_CHECKING:
    import pytest

NOW = 1_790_000_000.0
CHANGE = Decision(
    source="hall",
    language="uz",
    confidence=0.934,
    reason="change",
    since=NOW,
    decided_at=NOW + 2,
    previous="ru",
    speech_s=2.0,
    probabilities={"uz": 0.9, "ru": 0.06, "und": 0.04},
)
PAUSE = Decision(
    source="hall", language="uz", confidence=0.9, reason="pause", since=NOW, decided_at=NOW + 9,
    speech_s=7.25,
)  # fmt: skip
UPDATE = Decision(
    source="hall", language="uz", confidence=0.9, reason="update", since=NOW, decided_at=NOW + 3
)
LIVE = Health("hall", "live", NOW)
WAITING = Health("hall", "waiting", NOW, "no answer", 3)
SCORES = Scores(
    Span("hall", 4, NOW, NOW + 4, 1.0, 2), np.zeros(2, np.float32), {"uz": 0.7, "ru": 0.2}
)


def drawn(view: PictureView, width: int = 90) -> str:
    console = Console(file=io.StringIO(), width=width, record=True, force_terminal=True)
    console.print(view.picture())
    return console.export_text()


def test_the_picture_before_anything_is_heard():
    text = drawn(PictureView("hall"))
    assert "hall" in text
    assert "listening" in text
    assert "starting" in text


def test_the_picture_shows_the_language_and_its_history():
    view = PictureView("hall")
    view.health(Health("hall", "live", time.time()))
    view.decision(CHANGE)
    view.scores(SCORES)
    view.decision(UPDATE)
    view.decision(CHANGE)
    text = drawn(view)
    for line in big("uz"):
        assert line.strip() in text
    assert "93% sure" in text
    assert "was ru" in text
    assert clock_time(NOW) in text
    assert "window  70%" in text
    assert "live" in text
    assert text.index("ru  ") < text.index("uz  "), "bars keep their places"


def test_the_picture_fits_a_narrow_terminal():
    view = PictureView("hall")
    view.decision(CHANGE)
    assert all(len(line) <= 50 for line in drawn(view, 50).splitlines())


def test_the_picture_names_what_is_no_language():
    view = PictureView("hall")
    view.decision(Decision("hall", "zxx", 1.0, "change", NOW, NOW))
    assert "nobody is speaking" in drawn(view)


def test_markup_in_a_fault_is_text():
    view = PictureView("hall")
    view.health(Health("hall", "waiting", NOW, "[red]no[/] [/nothing]"))
    assert "[red]no[/] [/nothing]" in drawn(view)
    assert view.failed


def test_lines(capsys: pytest.CaptureFixture[str]):
    view = LineView()
    view.health(LIVE)
    view.health(LIVE)
    for decision in (CHANGE, UPDATE, PAUSE):
        view.decision(decision)
    view.health(WAITING)
    assert capsys.readouterr().out.splitlines() == [
        f"{clock_time(NOW)}  hall is live",
        f"{clock_time(NOW)}  uz     93%  was ru",
        f"{clock_time(NOW + 9)}  uz     90%  end of speech (7.2 s)",
        f"{clock_time(NOW)}  hall is waiting (no answer)",
    ]
    assert view.failed


def test_json(capsys: pytest.CaptureFixture[str]):
    view = JsonView()
    view.health(WAITING)
    view.decision(CHANGE)
    view.scores(SCORES)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    health, decision, window = lines
    assert [line["type"] for line in lines] == ["health", "decision", "window"]
    assert health["state"] == "waiting"
    assert health["reconnects"] == 3
    assert decision["language"] == "uz"
    assert decision["confidence"] == 0.934
    assert decision["since"] == "2026-09-21T14:13:20.000Z"
    assert decision["probabilities"] == {"uz": 0.9, "ru": 0.06, "und": 0.04}
    assert window["number"] == 4


def test_a_recording_counts_from_its_beginning():
    assert clock_time(3725.5) == "01:02:05"


def test_big_letters_are_all_of_one_height_and_width():
    for word in ("uz", "zh-tw", "?"):
        lines = big(word)
        assert len(lines) == 5
        assert len({len(line) for line in lines}) == 1
    assert len({tuple(big(letter)) for letter in "abcdefghijklmnopqrstuvwxyz-"}) == 27


def test_a_timeline_gives_each_language_its_share():
    spans = ((0.0, 5.0, "uz", 0.9), (5.0, 7.5, "ru", 0.9), (7.5, 10.0, "zxx", 1.0))
    text = timeline(spans, 10.0, 20).plain
    assert len(text) == 20
    assert text == text[0] * 10 + text[10] * 5 + "·" * 5
    assert text[0] != text[10]
    assert "uz" in legend(spans).plain
    assert timeline((), 0.0, 20).plain == ""
