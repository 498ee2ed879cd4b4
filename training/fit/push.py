"""`push`: a checkpoint and its card to the Hugging Face hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from langidd.errors import ConfigError, LangiddError

if TYPE_CHECKING:
    from pathlib import Path

NEEDED: Final = ("config.json", "model.safetensors", "preprocessor_config.json", "README.md")
SHARED: Final = (*NEEDED, "*.json", "LICENSE*")


class Hub(Protocol):
    """What is used of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any:
        """Make the repository, where there is none."""

    def upload_folder(self, **keywords: Any) -> Any:
        """Send a directory as one commit."""


def push(
    model: Path,
    repository: str,
    *,
    private: bool = True,
    dry_run: bool = False,
    hub: Hub | None = None,
) -> list[str]:
    """Upload `model` to `repository` (`user/name`); returns the files that are sent.

    The token is the hub's own (`hf auth login`, or `HF_TOKEN`). `dry_run` only looks
    whether everything is there.

    Raises:
        ConfigError: something is missing, or the card has no licence.
        LangiddError: the hub refused.

    """
    missing = [name for name in NEEDED if not (model / name).is_file()]
    if missing:
        raise ConfigError(
            f"{model}: {missing[0]} is missing; "
            + (
                "`langidd-train report` writes the card"
                if missing == ["README.md"]
                else "train it first"
            )
        )
    card = (model / "README.md").read_text(encoding="utf-8")
    if not card.startswith("---") or "license:" not in card.split("---")[1]:
        raise ConfigError(f"{model / 'README.md'}: the card's head names no licence (license: …)")
    if "langidd" not in json.loads((model / "config.json").read_text(encoding="utf-8")):
        raise ConfigError(f"{model / 'config.json'}: no block `langidd`; run `calibrate` first")
    files = sorted({path.name for pattern in SHARED for path in model.glob(pattern)})
    if dry_run:
        return files
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api: Hub = HfApi() if hub is None else hub
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=str(model),
            allow_patterns=list(SHARED),
            commit_message="A spoken-language classifier for langidd",
        )
    except (HfHubHTTPError, LocalTokenNotFoundError, OSError) as error:
        raise LangiddError(
            f"push {repository}: {str(error).splitlines()[0][:200]}; "
            "`hf auth login` gives a token that may write"
        ) from error
    return files
