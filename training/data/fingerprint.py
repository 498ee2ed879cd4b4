"""Which model made a score: a hash of its files, by which scores are kept on disk."""

from __future__ import annotations

import hashlib

from langidd.errors import ModelError
from langidd.model.whisper.location import HUB_FILES, locate


def model_fingerprint(name: str) -> str:
    """Return a short hash of a model's configuration and weights.

    Args:
        name: A bundled model, a directory, or a hub name.

    Raises:
        ModelError: There are no such files.

    """
    folder = locate(name)
    digest = hashlib.sha256()
    found = sorted({file for pattern in HUB_FILES for file in folder.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in found):
        raise ModelError(f"model {name}: there are no weights (*.safetensors) in {folder}")
    for file in found:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.name} {content}\n".encode())
    return digest.hexdigest()[:16]
