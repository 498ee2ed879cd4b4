"""Settings of the way from sound to decision: model, voice activity, windows, decider."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, create_model, model_validator

from langidd.config.fields import Table, Text, Unit
from langidd.decision.presets import DeciderSettings, decider_settings
from langidd.errors import ConfigError


class ModelSettings(Table):
    """Which checkpoint, on which device, in what batches."""

    path: Text = "uz-ru-en"
    """A shipped model's name, a directory, or a Hugging Face hub name."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")] = "auto"
    """`auto` takes CUDA where there is one."""
    cpu_fallback: bool = True
    """Go on with the CPU when the GPU is missing or lost."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of the model; 0: one for each core."""
    precision: Literal["auto", "f32", "bf16", "f16"] = "auto"
    """What the CPU computes in; `auto`: what it is fastest in."""
    max_batch: Annotated[int, Field(ge=1, le=256)] = 16
    """Windows in a batch at most."""
    max_delay_ms: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """How long the oldest window waits for company; unset: 5 on CUDA, 20 on the CPU."""
    context: Literal["auto", "padded", "trimmed"] = "auto"
    """What the encoder sees: 30 s always, or the window alone; `auto` asks the checkpoint."""


class VadSettings(Table):
    """Who decides what is speech."""

    engine: Literal["webrtc", "silero", "both"] = "both"
    """`both`: WebRTC's cheap gate first, Silero's network behind it."""
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """WebRTC's: 0 lets most through, 3 least."""
    threshold: Unit = 0.5
    """Silero's: the probability from which a frame is speech."""
    min_silence_s: Annotated[float, Field(ge=0.03, le=10)] = 0.5
    """A pause this long ends a speech segment."""
    min_speech_s: Annotated[float, Field(ge=0, le=10)] = 0.25
    """Shorter bursts are no speech."""
    prefix_padding_s: Annotated[float, Field(ge=0, le=5)] = 0.2
    """Sound kept from before the onset."""


class WindowSettings(Table):
    """What the classifier hears at once."""

    hop_s: Annotated[float, Field(ge=0.1, le=30)] = 0.5
    """New speech from window to window."""
    length_s: Annotated[float, Field(ge=0.5, le=30)] = 2.0
    """The most that a window holds."""
    first_s: Annotated[float, Field(ge=0.1, le=30)] = 1.0
    """Speech before the first window of a segment."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in ("hop_s", "first_s"):
            if getattr(self, name) > self.length_s:
                raise ValueError(
                    f"{name} {getattr(self, name):g} is longer than length_s {self.length_s:g}; "
                    f"{name} must be at most length_s"
                )
        return self


_NUMBERS: Final[dict[str, Any]] = {
    field.name: (float | None, None) for field in fields(DeciderSettings)
}
_DecisionNumbers: Final = create_model("_DecisionNumbers", __base__=Table, **_NUMBERS)


class DecisionSettings(_DecisionNumbers):  # type: ignore[misc, valid-type] # made above
    """A preset, and numbers that replace the preset's own.

    Each number of `langidd.decision.presets.DeciderSettings` is a key of that name, and None
    where it is not given.
    """

    preset: Text = "balanced"
    """The set of numbers to start from."""

    @model_validator(mode="after")
    def _within(self) -> Self:
        try:
            self.decider()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def decider(self, preset: str | None = None) -> DeciderSettings:
        """Return the numbers, of another preset where a source names one."""
        numbers = self.model_dump(exclude={"preset"})
        return decider_settings(preset or self.preset, **numbers)
