"""Importing much without looking for garbage in between."""

import atexit
import gc
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
        # Libraries count what is left of theirs at the end, and would report all of it.
        atexit.unregister(gc.unfreeze)
        atexit.register(gc.unfreeze)
        if enabled:
            gc.enable()
