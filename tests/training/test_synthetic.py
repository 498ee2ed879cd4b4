"""Sentences from catalogues, and espeak-ng speaking them."""

from __future__ import annotations

import csv
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from langidd.errors import LangiddError
from langidd_training.cli import app
from langidd_training.data.corpus import read_corpora
from langidd_training.synthesis.catalogues import catalogue_sentences, speakable
from langidd_training.synthesis.synthetic import (
    EVALUATION_VARIANTS,
    TRAINING_VARIANTS,
    Utterance,
    evaluation_utterances,
    parallel_sentences,
    speak,
    training_utterances,
    write_corpus,
)
from tests.conftest import require

if TYPE_CHECKING:
    from pathlib import Path


def write_mo(path: Path, messages: dict[str, str]):
    """A catalogue in GNU gettext's binary format (its manual, "The Format of GNU MO Files")."""
    messages = {"": "Content-Type: text/plain; charset=UTF-8\n", **messages}
    pairs = [(key.encode(), value.encode()) for key, value in sorted(messages.items())]
    table = 28
    offset = table + 16 * len(pairs)
    keys, values, data = b"", b"", b""
    for part, column in ((0, 0), (1, 1)):
        for pair in pairs:
            text = pair[column]
            entry = struct.pack("<II", len(text), offset + len(data))
            keys, values = (keys + entry, values) if part == 0 else (keys, values + entry)
            data += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), table, table + 8 * len(pairs), 0, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(head + keys + values + data)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Бул _файлды ачуу мүмкүн эмес.", "ky", "Бул файлды ачуу мүмкүн эмес."),
        ("Файлды «%s» ачуу мүмкүн эмес", "ky", None),  # a placeholder
        ("GIMP программасын ишке киргизүү керек", "ky", None),  # another script
        ("Faylni ochib boʻlmadi, xolos", "uz", "Faylni ochib boʻlmadi, xolos"),
        ("Use --help for more options", "en", None),
        ("Two words", "en", None),
        ("<b>Bold</b> is not spoken aloud", "en", None),
    ],
)
def test_only_what_can_be_read_aloud_is_taken(text: str, language: str, expected: str | None):
    assert speakable(text, language) == expected


def test_sentences_come_from_translations_not_from_what_was_left_untranslated(tmp_path: Path):
    write_mo(
        tmp_path / "locale" / "kk" / "LC_MESSAGES" / "editor.mo",
        {
            "The file could not be opened today": "Файлды бүгін ашу мүмкін болмады",
            "This line was never translated, sorry": "This line was never translated, sorry",
            "Save": "Сақтау",
        },
    )
    (tmp_path / "kk.po").write_text(
        'msgid ""\nmsgstr ""\n\n'
        'msgid "Another window is still open here"\n'
        'msgstr "Мұнда басқа терезе "\n"әлі ашық тұр"\n\n'
        '#, fuzzy\nmsgid "A doubtful one is not taken"\nmsgstr "Күмәнді аударма алынбайды мұнда"\n'
    )
    assert catalogue_sentences([tmp_path], "kk") == [
        "Мұнда басқа терезе әлі ашық тұр",
        "Файлды бүгін ашу мүмкін болмады",
    ]


def test_english_is_what_the_programs_say_themselves(tmp_path: Path):
    write_mo(
        tmp_path / "ru" / "LC_MESSAGES" / "editor.mo",
        {"The file could not be opened today": "Сегодня файл открыть не удалось"},
    )
    assert catalogue_sentences([tmp_path], "en") == ["The file could not be opened today"]


def test_the_evaluation_says_the_same_in_every_language():
    sentences = parallel_sentences()
    assert set(sentences) == {"uz", "ru", "en", "kk", "tr"}
    assert {len(texts) for texts in sentences.values()} == {24}
    assert len(evaluation_utterances(sentences)) == 24 * 5 * len(EVALUATION_VARIANTS)
    assert not set(TRAINING_VARIANTS) & set(EVALUATION_VARIANTS)


def test_training_draws_are_reproducible_and_share_the_voices_out():
    sentences = {"uz": [f"gap raqami {number} mana shu" for number in range(40)]}
    first = training_utterances(sentences, per_language=100)
    assert first == training_utterances(sentences, per_language=100)
    assert len({utterance.file_stem for utterance in first}) == 100
    voices = [utterance.variant for utterance in first]
    assert {voices.count(variant) for variant in TRAINING_VARIANTS} == {20}
    # A sentence said twice is said by another voice.
    assert len({(utterance.text, utterance.variant) for utterance in first}) == 100


def test_each_language_sounds_and_voices_differ():
    require("espeak-ng")
    spoken = {
        (language, variant): speak(Utterance(language, text, variant))
        for language, text in [("uz", "Xayrli tong, do'stim"), ("kk", "Қайырлы таң, досым")]
        for variant in ("", "f3")
    }
    for samples in spoken.values():
        assert samples.dtype == np.float32
        assert 0.5 * 16_000 < len(samples) < 5 * 16_000
        assert 0.1 < np.abs(samples).max() <= 1.5
    assert len(spoken["uz", ""]) != len(spoken["kk", ""])
    assert not np.array_equal(spoken["uz", ""][:8_000], spoken["uz", "f3"][:8_000])


def test_a_language_that_it_cannot_speak_is_said_in_one_line():
    require("espeak-ng")
    with pytest.raises(LangiddError, match=r"cannot speak 'zzz' .*--voices"):
        speak(Utterance("zzz", "whatever this may be"))


def test_text_that_looks_like_an_option_is_only_text():
    require("espeak-ng")
    assert len(speak(Utterance("en", "--version is what one says"))) > 16_000


def test_the_corpus_is_common_voice_for_the_rest_of_training(tmp_path: Path):
    require("espeak-ng")
    utterances = [
        Utterance("uz", 'bu "qo\'shtirnoq" ichida'),
        Utterance("tr", "bugün hava çok güzel", "m3"),
        Utterance("ru", "сегодня хорошая погода"),
    ]
    assert write_corpus(utterances, tmp_path, split="dev") == {"uz": 1, "tr": 1, "ru": 1}
    clips = read_corpora([tmp_path], ["uz", "ru", "en"])
    assert {(clip.language, clip.locale) for clip in clips} == {
        ("uz", "uz"),
        ("ru", "ru"),
        ("other", "tr"),
    }
    assert {clip.speaker for clip in clips} == {
        "espeak-ng/espeak-uz-default",
        "espeak-ng/espeak-tr-m3",
        "espeak-ng/espeak-ru-default",
    }
    for clip in clips:
        assert soundfile.info(clip.path).samplerate == 16_000
    before = {clip.path: clip.path.stat().st_mtime_ns for clip in clips}
    write_corpus(utterances, tmp_path, split="dev")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_command_speaks_a_table(tmp_path: Path):
    require("espeak-ng")
    table = tmp_path / "table.tsv"
    table.write_text("uz\ten\nbugun havo juda yaxshi\tthe weather is good today\n")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["speak", str(out), "--sentences", str(table), "--variants", "m1,f1"]
    )
    assert result.exit_code == 0, result.output
    with (out / "uz" / "dev.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["client_id"] for row in rows] == ["espeak-uz-m1", "espeak-uz-f1"]
    assert len(list((out / "en" / "clips").glob("*.flac"))) == 2
