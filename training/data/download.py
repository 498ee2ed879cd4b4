"""`prepare --download`: Common Voice from the Mozilla Data Collective, with the user's key.

Common Voice left the Hugging Face hub in October 2025; the Data Collective hands out
one archive a language. Its own client (`datacollective`) streams to disk, shows a bar,
and goes on where it was interrupted; here the language is found and the errors are
made one line that says what to do.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langidd.errors import ConfigError, LangiddError
from langidd_training.data.corpus import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
_KEY_ADVICE = (
    "put your key of mozilladatacollective.com into MDC_API_KEY, and agree to the data set's "
    "terms there"
)


def download(what: str, directory: Path) -> Path:
    """Get a language's Common Voice (`uz`), or a data set by its id; returns its directory.

    The key is read from `MDC_API_KEY`. What is there already is not fetched again; an
    interrupted download goes on.

    Raises:
        ConfigError: no such language or data set, or no key, or its terms not agreed to.
        LangiddError: the service or the network failed; asking again goes on.

    """
    from datacollective import download_dataset

    if not os.environ.get("MDC_API_KEY"):
        raise ConfigError(f"download {what}: no key; {_KEY_ADVICE}")
    directory.mkdir(parents=True, exist_ok=True)
    name = _answered(what, lambda: newest(what)) if _CODE.fullmatch(what) else what
    place = _answered(
        what, lambda: download_dataset(name, download_directory=str(directory), extract=True)
    )
    return language_directory(Path(place))


def newest(language: str) -> str:
    """Id of the newest Common Voice of read sentences in `language`.

    Raises:
        ConfigError: there is none.

    """
    from datacollective import list_datasets

    found = list_datasets("Common Voice Scripted Speech", locale=language, sort="newest")
    for item in found:
        if "common voice" in (item.name or "").lower():
            return str(item.id)
    raise ConfigError(
        f"download {language}: the Mozilla Data Collective lists no Common Voice in this "
        "language; look for it on mozilladatacollective.com and give its id instead"
    )


def language_directory(extracted: Path) -> Path:
    """Find the directory that holds `train.tsv` beside `clips/` in what was unpacked.

    Raises:
        ConfigError: there is none, so it is no Common Voice archive.

    """
    for split in SPLITS:
        for table in sorted(extracted.rglob(f"{split}.tsv")):
            if (table.parent / "clips").is_dir():
                return table.parent
    raise ConfigError(f"{extracted}: no train.tsv beside clips/: not Common Voice's layout")


def _answered(what: str, ask: Callable[[], Any]) -> Any:
    """Ask the service; its errors in one line each, without the key."""
    import requests
    from datacollective import AuthenticationError, RateLimitError
    from datacollective.errors import DownloadError

    try:
        return ask()
    except (AuthenticationError, PermissionError) as error:
        raise ConfigError(f"download {what}: {_line(error)}; {_KEY_ADVICE}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"download {what}: no such data set: {_line(error)}") from error
    except (RateLimitError, DownloadError, RuntimeError, requests.RequestException) as error:
        raise LangiddError(
            f"download {what}: {_line(error)}; run it again to go on where it stopped"
        ) from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
