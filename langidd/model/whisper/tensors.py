"""The tensors of a checkpoint directory: safetensors files, one or sharded.

Nothing else is opened: a pickle can run code, so one is refused unread.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

SINGLE_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"
PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt")

_READABLE: Final = {"F16", "BF16", "F32", "F64"}
_LENGTH_BYTES: Final = 8
"""A safetensors file begins with its header's length, in little-endian order."""


class Tensors:
    """The tensors of a directory by name, without the `model.` that a whole Whisper puts first."""

    def __init__(self, model: str, folder: Path) -> None:
        """Open the directory's files.

        Args:
            model: What errors call the model.
            folder: Holds `model.safetensors`, or its index and shards.

        Raises:
            ModelError: There are no such files, or one of them is damaged.

        """
        self._model = model
        self._where: dict[str, tuple[Path, str, Any]] = {}
        for path in _files(model, folder):
            try:
                handle: Any = safe_open(path, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise ModelError(
                    f"model {model}: {path.name} is damaged or half-downloaded "
                    f"({_first_line(error)}); fetch it again"
                ) from error
            for stored in handle.keys():  # noqa: SIM118 - not a dict
                self._where[stored.removeprefix("model.")] = (path, stored, handle)

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor that is there."""
        _, stored, handle = self._where[name]
        return tuple(handle.get_slice(stored).get_shape())

    def read(self, name: str, rows: Sequence[int] | None = None) -> npt.NDArray[np.float32]:
        """Read a tensor, or some rows of it, as float32.

        Raises:
            ModelError: The tensor holds no floating-point numbers.

        """
        path, stored, handle = self._where[name]
        kind = handle.get_slice(stored).get_dtype()
        if kind not in _READABLE:
            raise ModelError(
                f"model {self._model}: {stored} is stored as {kind}; langidd reads "
                f"{', '.join(sorted(_READABLE))}"
            )
        found = _bfloat16(path, stored) if kind == "BF16" else handle.get_tensor(stored)
        return np.ascontiguousarray(found if rows is None else found[list(rows)], np.float32)


def _files(model: str, folder: Path) -> list[Path]:
    if (folder / INDEX_FILE).is_file():
        try:
            shards = set(json.loads((folder / INDEX_FILE).read_bytes())["weight_map"].values())
            paths = [folder / Path(str(shard)).name for shard in sorted(shards)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"model {model}: {INDEX_FILE} cannot be read: {_first_line(error)}"
            ) from error
        for path in paths:
            if not path.is_file():
                raise ModelError(
                    f"model {model}: {path.name}, which {INDEX_FILE} names, is not there; "
                    "fetch it again"
                )
        return paths
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"model {model}: {pickles[0]} is a pickle, which langidd never opens; "
            f"convert it to {SINGLE_FILE}"
        )
    raise ModelError(f"model {model}: the directory has no {SINGLE_FILE}")


def _bfloat16(path: Path, stored: str) -> npt.NDArray[np.float32]:
    """Read a tensor of a type that NumPy lacks: the upper half of a float32's bits.

    The file has been checked when it was opened. Format:
    https://github.com/huggingface/safetensors#format
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        entry = json.loads(file.read(length))[stored]
        first, _ = entry["data_offsets"]
        file.seek(_LENGTH_BYTES + length + first)
        halves = np.fromfile(file, "<u2", math.prod(entry["shape"]))
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
