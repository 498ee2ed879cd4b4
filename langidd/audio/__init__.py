"""Where sound comes from: sources of every kind, and what keeps them going."""

from langidd.audio.base import Source, SourceCounts
from langidd.audio.registry import check_source, open_source, supervise

__all__ = ["Source", "SourceCounts", "check_source", "open_source", "supervise"]
