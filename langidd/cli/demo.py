"""`langidd demo`: the daemon on a recording of three languages."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def demo(
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines, on a terminal too.")] = False,
) -> None:
    """Show langidd at work, on this machine alone and within a minute.

    The real daemon listens to a recording of people who speak Uzbek, Russian and English
    one after another, publishes to a broker of its own, and what is shown is what a real
    MQTT subscriber receives.
    """
    from langidd.demo.show import show_demo

    asyncio.run(show_demo(plain=plain))
