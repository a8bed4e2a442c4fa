"""Mutations of what a model looks at beside its inputs: files, the machine, processes."""

import os

from _cases import REPEATABLE, after_rides, model

STARTS = "test_warm_start_takes_data_as_it_comes"
WARM = "    def warm_start(self, history: Panel) -> None:\n"


def started(line):
    """A change that does something in ``warm_start``."""
    return model(WARM, f"{WARM}        {line}\n")


OUTSIDE = {
    "outside of the process": [
        (
            "a file read",
            after_rides("open(os.devnull).close()"),
            # The package brings it along, so that it is the same wherever the package is.
            after_rides("open(__file__).close()"),
            REPEATABLE,
            f"opens '{os.devnull}'. fix: hand what it holds to the constructor",
        ),
        (
            "a file that a library reads for it",
            after_rides("np.fromfile(os.devnull)"),
            after_rides("np.frombuffer(bytes(8))"),
            REPEATABLE,
            f"opens '{os.devnull}'",
        ),
        (
            "the name of the machine",
            after_rides("import socket\nsocket.gethostname()"),
            after_rides("import socket\nsocket.htons(80)"),
            REPEATABLE,
            "asks the machine's name",
        ),
        (
            "what a folder holds",
            after_rides("os.listdir(os.sep)"),
            after_rides("sessions.index('hour').tz_convert('Europe/Berlin')"),
            REPEATABLE,
            f"lists '{os.sep}'",
        ),
        (
            "a file read at the start",
            started("open(os.devnull).close()"),
            started("os.path.join(os.devnull)"),
            STARTS,
            "expected a start from the history alone; found that model.py:",
        ),
    ],
}
