"""The topics of a node.

<base>/<node>/status                   online | offline
<base>/<node>/<source>/availability    online | offline
<base>/<node>/<source>/language        the bare code
<base>/<node>/<source>/state           the whole decision
<base>/<node>/<source>/event           each change of language and each end of a segment
<base>/<node>/<source>/window          each window's probabilities, where asked for
"""

from __future__ import annotations

from dataclasses import dataclass

from langidd.naming import slug


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node; `base` and `node` as they stand in them."""

    base: str
    node: str

    @classmethod
    def of(cls, base: str, node: str) -> Topics:
        """Return the topics of a node by its name.

        Raises:
            ConfigError: The name has no slug.

        """
        return cls(base, slug(node))

    @property
    def status(self) -> str:
        """Whether the service is connected: `online` or `offline`."""
        return f"{self.base}/{self.node}/status"

    def of_source(self, source: str, leaf: str) -> str:
        """Return a source's topic; `source` is its slug, `leaf` the last part."""
        return f"{self.base}/{self.node}/{source}/{leaf}"
