"""Importing much without looking for garbage in between."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause the garbage collector, and leave what the block made out of its later rounds.

    torch and pandas make half a million objects that stay for ever; going through them again and
    again took a seventh of the CPU of a package's conformance.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # It counts what is left of its own at the end, and would report what is frozen of it. Where
        # it is not there, nobody asks, and taking everything apart costs half a second.
        if "duckdb" in sys.modules:
            atexit.unregister(gc.unfreeze)
            atexit.register(gc.unfreeze)
        if enabled:
            gc.enable()
