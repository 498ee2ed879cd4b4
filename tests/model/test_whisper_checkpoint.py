"""Checkpoints of every kind of wrong get one line that names them; nothing is unpickled."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import huggingface_hub
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch_file
from safetensors.torch import save_file as save_torch_file
from transformers import BertConfig, WhisperForAudioClassification

from langidd.errors import ModelError
from langidd.model.whisper.architecture import EMBEDDING
from langidd.model.whisper.checkpoint import open_checkpoint
from langidd.model.whisper.languages import LANGUAGES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(stock_model: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(stock_model, tmp_path / "model")


@pytest.fixture
def tokens(token_model: Path, tmp_path: Path) -> Path:
    """A whole Whisper to spoil."""
    return shutil.copytree(token_model, tmp_path / "tokens")


def _edit(model: Path, **changes: Any) -> None:
    config = json.loads((model / "config.json").read_text())
    config.update(changes)
    config = {key: value for key, value in config.items() if value is not None}
    (model / "config.json").write_text(json.dumps(config))


def _refusal(model: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        open_checkpoint(str(model))
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
    checkpoint = open_checkpoint(str(model))
    calibration = checkpoint.calibration
    assert checkpoint.context == "trimmed"
    assert calibration.labels == ("uz", "ru", "other")
    assert calibration.unknown == ("other",)
    assert calibration.languages == ("uz", "ru")
    assert calibration.temperatures == ((1.0, 1.5), (4.0, 1.1))
    assert calibration.unknown_temperatures == ((2.0, 1.8),)
    assert calibration.und_threshold == 0.6


def test_a_stock_classifier_is_padded(model: Path) -> None:
    assert open_checkpoint(str(model)).context == "padded"


def test_a_bundled_name_is_opened() -> None:
    assert {"uz", "ru", "en"} <= set(open_checkpoint("uz-ru-en").calibration.labels)


def test_a_missing_directory(tmp_path: Path) -> None:
    assert "no such directory" in _refusal(tmp_path / "nowhere")


def test_a_hub_name_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "hub" in _refusal("nobody/no-such-model")
    assert "hub" in _refusal("no such name")


def test_a_hub_name_is_fetched_without_what_is_not_needed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def snapshot(name: str, **options: Any) -> str:
        asked.append((name, options["allow_patterns"]))
        return str(model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert open_checkpoint("somebody/whisper").calibration.labels == ("uz", "ru", "en")
    assert asked[0][0] == "somebody/whisper"
    assert not any("bin" in pattern for pattern in asked[0][1])


def test_a_directory_without_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()
    assert "no model.safetensors" in _refusal(model)


def test_a_directory_without_a_config(model: Path) -> None:
    (model / "config.json").unlink()
    assert "no config.json" in _refusal(model)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_half_a_download(share: float, model: Path) -> None:
    weights = model / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * share)])
    assert "half-downloaded" in _refusal(model)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt"])
def test_a_pickle_is_refused_unopened(name: str, model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(pickle.dumps(_Bomb()))
    refusal = _refusal(model)
    assert "pickle" in refusal
    assert name in refusal


def test_a_pickle_beside_safetensors_is_not_opened(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    open_checkpoint(str(model))


def test_shards_are_read_as_one(model: Path, stock_model: Path) -> None:
    whole = WhisperForAudioClassification.from_pretrained(stock_model)
    (model / "model.safetensors").unlink()
    whole.save_pretrained(model, max_shard_size="100KB")
    assert len(list(model.glob("*.safetensors"))) > 1
    ours = open_checkpoint(str(model)).tensors
    theirs = open_checkpoint(str(stock_model)).tensors
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values)


def test_a_shard_that_is_missing_is_named(model: Path, stock_model: Path) -> None:
    whole = WhisperForAudioClassification.from_pretrained(stock_model)
    (model / "model.safetensors").unlink()
    whole.save_pretrained(model, max_shard_size="100KB")
    lost = sorted(model.glob("*.safetensors"))[1]
    lost.unlink()
    assert lost.name in _refusal(model)


@pytest.mark.parametrize(
    "index", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../elsewhere.safetensors"}}']
)
def test_an_index_that_makes_no_sense(index: str, model: Path) -> None:
    (model / "model.safetensors.index.json").write_text(index)
    _refusal(model)


def test_bfloat16_is_read_as_stored(model: Path) -> None:
    stored = {
        name: tensor.bfloat16()
        for name, tensor in load_torch_file(model / "model.safetensors").items()
    }
    save_torch_file(stored, model / "model.safetensors", metadata={"format": "pt"})
    for name, values in open_checkpoint(str(model)).tensors.items():
        np.testing.assert_array_equal(values, stored[name].float().numpy())


def test_whole_numbers_are_no_weights(model: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors["classifier.bias"] = tensors["classifier.bias"].astype(np.int8)
    save_file(tensors, model / "model.safetensors")
    assert "classifier.bias" in _refusal(model)


@pytest.mark.parametrize("labels", [None, {}, {"0": "LABEL_0", "1": "LABEL_1"}, ["uz", "ru"]])
def test_no_labels(labels: Any, model: Path) -> None:
    _edit(model, id2label=labels)
    assert "id2label" in _refusal(model)


def test_a_language_twice(model: Path, tokens: Path) -> None:
    _edit(model, id2label={"0": "uz", "1": "ru", "2": "UZ"})
    assert "twice" in _refusal(model)
    _edit(tokens, langidd={"languages": ["uz", "ru", "uz"]})
    assert "twice" in _refusal(tokens)


@pytest.mark.parametrize("text", ["{", "[]", "", "\ufeff"])
def test_a_config_that_is_no_object(text: str, model: Path) -> None:
    (model / "config.json").write_text(text)
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


def test_tensors_of_another_shape_are_named(model: Path) -> None:
    _edit(model, id2label={"0": "uz", "1": "ru"})
    assert "classifier.weight" in _refusal(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [("d_model", "64"), ("d_model", -1), ("encoder_layers", 0), ("encoder_attention_heads", 7)],
)
def test_dimensions_that_make_no_sense(key: str, value: Any, model: Path) -> None:
    _edit(model, **{key: value})
    assert "config.json" in _refusal(model)


def test_another_activation(model: Path) -> None:
    _edit(model, activation_function="relu")
    assert "relu" in _refusal(model)


@pytest.mark.parametrize(
    "block",
    [
        {"context": "sideways"},
        {"temperature": [[1, 0]]},
        {"temperature": 3},
        {"unknown_labels": ["fr"]},
        {"head": "tail"},
        {"format": 99},
        [1],
    ],
)
def test_an_own_block_that_makes_no_sense(model: Path, block: Any) -> None:
    _edit(model, langidd=block)
    assert "langidd" in _refusal(model)


@pytest.mark.parametrize("languages", ["uz", [], [1, 2], ["a", "b", "c", "d", "e", "f", "g"]])
def test_languages_that_the_vocabulary_does_not_have(tokens: Path, languages: Any) -> None:
    _edit(tokens, langidd={"languages": languages})
    _refusal(tokens)


def test_a_small_vocabulary_names_its_languages(tokens: Path) -> None:
    checkpoint = open_checkpoint(str(tokens))
    assert checkpoint.calibration.labels == ("en", "zh", "de", "es", "ru", "uz")
    assert checkpoint.architecture.head == "language_tokens"
    assert checkpoint.tensors[EMBEDDING].shape == (7, 64)


def test_queries_and_keys_of_the_first_token_may_be_left_out(tokens: Path) -> None:
    path = tokens / "model.safetensors"
    with safe_open(path, framework="numpy") as stored:
        kept = {
            name: stored.get_tensor(name)
            for name in stored.keys()  # noqa: SIM118 - not a dict
            if "decoder" not in name or ("self_attn.q_" not in name and "self_attn.k_" not in name)
        }
    save_file(kept, path)
    open_checkpoint(str(tokens))


@pytest.mark.parametrize(
    ("vocabulary", "languages"), [(51_865, LANGUAGES[:99]), (51_866, LANGUAGES)]
)
def test_a_stock_whisper_has_the_standard_languages(
    vocabulary: int, languages: tuple[str, ...], tokens: Path
) -> None:
    _grow_vocabulary(tokens, vocabulary)
    labels = open_checkpoint(str(tokens)).calibration.labels
    assert labels == tuple("jv" if language == "jw" else language for language in languages)


def test_a_stock_whisper_may_say_its_languages_itself(tokens: Path) -> None:
    _grow_vocabulary(tokens, 51_865)
    listed = {"<|ru|>": 50_263, "<|en|>": 50_259, "<|haw|>": 50_300}
    (tokens / "generation_config.json").write_text(json.dumps({"lang_to_id": listed}))
    checkpoint = open_checkpoint(str(tokens))
    assert checkpoint.calibration.labels == ("en", "ru", "haw")
    np.testing.assert_array_equal(
        checkpoint.tensors[EMBEDDING][:, 0], [50_258, 50_259, 50_263, 50_300]
    )


def test_an_english_whisper_has_no_languages(tokens: Path) -> None:
    _grow_vocabulary(tokens, 51_864)
    assert "multilingual" in _refusal(tokens)


def _grow_vocabulary(model: Path, vocabulary: int) -> None:
    """Make a stock vocabulary, in which each row of the embeddings holds its own number."""
    tensors = load_file(model / "model.safetensors")
    rows = np.repeat(np.arange(vocabulary, dtype=np.float32)[:, None], 64, axis=1)
    save_file({**tensors, f"model.{EMBEDDING}": rows}, model / "model.safetensors")
    _edit(model, vocab_size=vocabulary, decoder_start_token_id=50_258, langidd=None)
