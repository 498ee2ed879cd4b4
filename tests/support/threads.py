"""Threads that should end."""

from __future__ import annotations

import asyncio
import threading


async def ended(name: str, within_s: float = 10.0) -> bool:
    """Whether all the threads of that name end soon."""
    threads = [thread for thread in threading.enumerate() if thread.name == name]
    for thread in threads:
        await asyncio.to_thread(thread.join, within_s)
    return not any(thread.is_alive() for thread in threads)
