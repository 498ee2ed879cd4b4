"""Settings of the stages from audio to decision: model, voice activity, windows, decider."""

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
    """`auto` is CUDA if available."""
    cpu_fallback: bool = True
    """Use the CPU if the GPU is missing or fails."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of the model; 0 is one for each core."""
    precision: Literal["auto", "f32", "bf16", "f16"] = "auto"
    """What the model is computed in; `auto`: in which this processor is fastest, f16 on CUDA."""
    max_batch: Annotated[int, Field(ge=1, le=256)] = 16
    """The most windows in a batch."""
    max_delay_ms: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """How long a window waits for others; unset: 5 on CUDA, 20 on the CPU."""
    context: Literal["auto", "padded", "trimmed"] = "auto"
    """The input of the encoder: padded to 30 s, or the window; `auto`: as the checkpoint says."""


class VadSettings(Table):
    """Voice activity detection and speech segments."""

    engine: Literal["webrtc", "silero", "both"] = "both"
    """`both`: WebRTC as a cheap gate, the Silero network behind it."""
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """Of WebRTC: 0 passes the most frames as speech, 3 the fewest."""
    threshold: Unit = 0.5
    """Of Silero: the probability at which a frame is speech."""
    min_silence_s: Annotated[float, Field(ge=0.03, le=10)] = 0.5
    """A pause this long ends a speech segment."""
    min_speech_s: Annotated[float, Field(ge=0, le=10)] = 0.25
    """A shorter burst is not speech."""
    prefix_padding_s: Annotated[float, Field(ge=0, le=5)] = 0.2
    """Audio kept from before the onset."""


class WindowSettings(Table):
    """Windows: what the model scores at a time."""

    hop_s: Annotated[float, Field(ge=0.1, le=30)] = 0.5
    """New speech between two windows."""
    length_s: Annotated[float, Field(ge=0.5, le=30)] = 2.0
    """The length of a window."""
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
