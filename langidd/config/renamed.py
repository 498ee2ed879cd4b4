"""Keys that had other names: the old ones are still read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langidd.config.refusals import Location

RENAMED: Final[dict[str, str | None]] = {
    "decision.dwell_s": "mean_dwell_s",
    "decision.pause_switch": "pause_switch_probability",
    "decision.memory_s": "decay_s",
    "decision.evidence": "evidence_weight",
    "decision.doubt": "outlier_weight",
    "decision.enter": "enter_threshold",
    "decision.first_enter": "first_enter_threshold",
    "decision.leave": "leave_threshold",
    "decision.confirm_s": "debounce_s",
    "decision.leave_s": "leave_debounce_s",
    "decision.hold_s": "min_dwell_s",
    "decision.confidence_offset": None,
    "vad.hang_over_s": "min_silence_s",
    "vad.padding_s": "prefix_padding_s",
}
"""Old key with its table, and its new name there, None for one that has no effect any more;
`sources.…` means every source."""


def with_new_names(layer: dict[str, Any], spell: Callable[[Location], str]) -> Iterator[str]:
    """Give the old keys of a layer their new names, in place.

    Args:
        layer: What a file, the environment or the flags hold.
        spell: Turns a key's place into what a person wrote there.

    Yields:
        One line for each old key.

    Raises:
        ConfigError: A key is given by both of its names.

    """
    for path, new in RENAMED.items():
        *tables, old = path.split(".")
        for place, table in _tables(layer, tables):
            if old not in table:
                continue
            if new is None:
                del table[old]
                yield f"{spell((*place, old))} has no effect any more; remove it"
                continue
            was, now = spell((*place, old)), spell((*place, new))
            if new in table:
                raise ConfigError(f"{was} and {now} are both given; remove {was}, the old name")
            table[new] = table.pop(old)
            yield f"{was} is now called {new}; the old name is still read"


def _tables(
    value: Any, names: list[str], place: Location = ()
) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Yield the tables of that name with their places: one, or each of a list."""
    if names:
        if isinstance(value, dict):
            yield from _tables(value.get(names[0]), names[1:], (*place, names[0]))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _tables(item, names, (*place, index))
    elif isinstance(value, dict):
        yield place, value
        # Variables reach into a list by its index: LANGIDD_SOURCES__0__…
        for index, item in value.items():
            if index.isdigit():
                yield from _tables(item, names, (*place, index))
