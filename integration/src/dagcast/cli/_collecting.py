"""Garbage is collected once there may be some: what a command imports stays until it ends.

Going through it again and again took a fifth of the CPU of a short command.
"""

import gc

# As many objects as a command makes before its first line of work; so many are soon gone through.
_WHILE_STARTING = 100_000
_ordinary: list[tuple[int, int, int]] = []
_said: set[str] = set()


def put_off() -> None:
    """Collect rarely until ``resume``: a command is about to import what it needs."""
    if not _ordinary:
        _ordinary.append(gc.get_threshold())
        gc.set_threshold(_WHILE_STARTING, *_ordinary[0][1:])


def resume(message: str) -> None:
    """Collect as usual once a command is at its second step, without what was made until then.

    Args:
        message: what the command says that it is doing; its first step imports what the others use.
    """
    _said.add(message)
    if _ordinary and len(_said) > 1:
        gc.freeze()
        gc.set_threshold(*_ordinary.pop())
