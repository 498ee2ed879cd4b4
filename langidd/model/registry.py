"""From settings to a model: the kinds of model that there are, one line each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langidd.config import ModelSettings
    from langidd.model.base import Model

KINDS: Final[Mapping[str, str]] = {
    "checkpoint": "langidd.model.whisper.open:open_whisper",
}
"""`module:function` for each kind; the function takes `ModelSettings` and returns a `Model`.

The kind is the scheme of `model.path`; a path without one is a checkpoint. Modules are
imported only when they are needed: an engine takes seconds to import.
"""


def open_model(settings: ModelSettings) -> Model:
    """Return the model that the settings name; `start` loads it.

    Raises:
        ModelError: There is no such kind of model.

    """
    scheme, separator, _ = settings.path.partition("://")
    kind = scheme if separator else "checkpoint"
    if kind not in KINDS:
        raise ModelError(
            f"model.path {settings.path}: there is no kind of model {kind!r}; "
            f"there are {', '.join(KINDS)}"
        )
    module, _, function = KINDS[kind].partition(":")
    model: Model = getattr(import_module(module), function)(settings)
    return model
