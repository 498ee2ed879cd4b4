"""`langidd demo`: the daemon on a recording in three languages."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def demo(
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Print without colour.")] = False,
) -> None:
    """Show langidd at work, in under a minute and without a network.

    The daemon listens to a recording in which people speak Uzbek, Russian and English, and
    publishes to its own broker. The lines shown are what an MQTT subscriber receives.
    """
    from langidd.demo.show import show_demo

    asyncio.run(show_demo(plain=plain))
