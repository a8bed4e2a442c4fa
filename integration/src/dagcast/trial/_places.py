"""Which lines of a stack are a package's own, and to be corrected."""

import os

import pluggy

import dagcast_core.hooks as hooks

# Where code lies that only says why: not what is to be corrected.
_OURS = tuple(
    f"{folder}{os.sep}"
    for folder in (
        os.path.dirname(os.path.dirname(__file__)),
        os.path.dirname(hooks.__file__),
        os.path.dirname(pluggy.__file__),
    )
)
_LIBRARY = os.path.dirname(os.__file__) + os.sep


def ours(file: str) -> bool:
    """Whether code lies where it only says why: in Python, pluggy or dagcast itself."""
    # A Python without an environment of its own keeps packages below its library.
    library = file.startswith(_LIBRARY) and "-packages" not in file.removeprefix(_LIBRARY)
    return library or file.startswith(("<", *_OURS))
