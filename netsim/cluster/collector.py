"""Pausing the cyclic garbage collector while many objects are made, none of which is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 1000
"""Objects of a cluster from which it pays."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Keep the collector from walking every object of a large cluster again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def settle(objects: int) -> None:
    """Tell the collector, when *objects* are many, that what is alive now lives as long as the process."""
    if objects >= MANY:
        gc.freeze()
