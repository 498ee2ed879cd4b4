"""Where a checkpoint's files are: bundled, in a directory, or on the Hugging Face hub."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from langidd.errors import ModelError
from langidd.model.whisper.tensors import INDEX_FILE, SINGLE_FILE

HUB_FILES: Final = (
    "config.json",
    "generation_config.json",
    SINGLE_FILE,
    INDEX_FILE,
    "model-*-of-*.safetensors",
)
"""What a model's scores depend on."""


def locate(name: str) -> Path:
    """Return the directory of a checkpoint's files; those on the hub are downloaded once.

    Args:
        name: A bundled model, a directory, or a repository on the Hugging Face hub.

    Raises:
        ModelError: There is no such directory and no such repository.

    """
    bundled = resources.files("langidd") / "models" / name
    if "/" not in name and isinstance(bundled, Path) and (bundled / "config.json").is_file():
        return bundled
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"model {name}: there is no such directory")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except (OSError, ValueError) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"model {name}: neither a directory here nor to be had from the Hugging Face hub "
            f"({text})"
        ) from error
