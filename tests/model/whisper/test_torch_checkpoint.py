"""Checkpoints of every kind of wrong get one line that names them; nothing is unpickled."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForAudioClassification, BertConfig

from langidd.errors import ModelError
from langidd.model.base import DeviceLostError
from langidd.model.whisper.torch_engine import load_classifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(stock_model: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(stock_model, tmp_path / "model")


def _edit(model: Path, **changes: Any) -> None:
    config = json.loads((model / "config.json").read_text())
    config.update(changes)
    (model / "config.json").write_text(json.dumps(config))


def _refusal(model: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        load_classifier(str(model), device="cpu")
    text = str(caught.value)
    assert "\n" not in text
    assert str(model) in text
    return text


def test_labels_context_and_calibration_come_from_the_config(model: Path) -> None:
    _edit(
        model,
        id2label={"0": "UZ", "1": "ru", "2": "other"},
        langidd={
            "context": "trimmed",
            "temperature": [[4, 1.1], [1, 1.5]],
            "unknown_temperature": [[2, 1.8]],
            "und_threshold": 0.6,
        },
    )
    classifier = load_classifier(str(model), device="cpu")
    assert classifier.labels == ("uz", "ru", "other")
    assert classifier.context == "trimmed"
    assert classifier.calibration.unknown == ("other",)
    assert classifier.calibration.languages == ("uz", "ru")
    assert classifier.calibration.temperatures == ((1.0, 1.5), (4.0, 1.1))
    assert classifier.calibration.unknown_temperatures == ((2.0, 1.8),)


def test_a_missing_directory(tmp_path: Path) -> None:
    assert "no such directory" in _refusal(tmp_path / "nowhere")


def test_a_hub_name_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "hub" in _refusal("nobody/no-such-model")


def test_a_directory_without_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()
    assert "no model.safetensors" in _refusal(model)


def test_half_a_download(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    assert "half-downloaded" in _refusal(model)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was opened",))


def test_a_pickle_is_refused_unopened(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    assert "pickle" in _refusal(model)


def test_a_pickle_beside_safetensors_is_not_opened(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    (model / "training_args.bin").write_bytes(pickle.dumps(_Bomb()))
    load_classifier(str(model), device="cpu")


def test_no_labels(model: Path) -> None:
    _edit(model, id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    assert "id2label" in _refusal(model)


def test_config_that_is_no_json(model: Path) -> None:
    (model / "config.json").write_text("{")
    assert "config.json" in _refusal(model)


def test_another_kind_of_model(model: Path) -> None:
    BertConfig().save_pretrained(model)
    assert "bert" in _refusal(model)


def test_a_bare_encoder_has_no_head(encoder_weights: Path, tmp_path: Path) -> None:
    place = tmp_path / "bare"
    place.mkdir()
    shutil.copy(encoder_weights / "model.safetensors", place)
    config = json.loads((encoder_weights / "config.json").read_text())
    config |= {"id2label": {"0": "uz", "1": "ru"}, "label2id": {"uz": 0, "ru": 1}}
    (place / "config.json").write_text(json.dumps(config))
    assert "bare Whisper" in _refusal(place)


@pytest.mark.parametrize(
    "block", [{"context": "sideways"}, {"temperature": [[1, 0]]}, {"unknown_labels": ["fr"]}, [1]]
)
def test_an_own_block_that_makes_no_sense(model: Path, block: Any) -> None:
    _edit(model, langidd=block)
    assert "langidd" in _refusal(model)


def test_logits_that_are_no_numbers_are_an_error(model: Path) -> None:
    broken = AutoModelForAudioClassification.from_pretrained(model)
    with torch.no_grad():
        broken.classifier.bias.fill_(float("nan"))
    broken.save_pretrained(model)
    with pytest.raises(ModelError, match="not a number"):
        load_classifier(str(model), device="cpu").logits([np.zeros(16_000, np.float32)])


def test_a_device_that_is_not_there_is_named(model: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(DeviceLostError, match="there is no cuda:0 on this machine"):
        load_classifier(str(model), device="cuda:0")
