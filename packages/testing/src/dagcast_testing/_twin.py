"""The same models in another process: what they start with and predict, as fingerprints.

    python -c "from dagcast_testing._twin import main; main(['dagcast-eta'])"

Another process hashes text otherwise, so that sets come in another order; it has other clocks and
other random states, and two threads instead of one.
"""

import functools
import hashlib
import json
import os
import subprocess
import sys

import torch

from dagcast_core.model import Model
from dagcast_testing._installed import InstalledModel, installed_models
from dagcast_testing._problems import SELECTION
from dagcast_testing._setting import Setting, labels_of
from dagcast_testing._source import other_random_states

_HOURS = 30
# It lives for a second or two: looking for garbage would take a seventh of that.
_START = (
    "import gc; gc.disable(); import importlib, sys; "
    "importlib.import_module(sys.argv[1]).main(sys.argv[2:]); "
    # And so would taking apart what it imported.
    "sys.stdout.flush(); import os; os._exit(0)"
)


def fingerprints(model: Model) -> dict[str, str]:
    """Return one short hash for every entry of the state and every output."""
    outputs = Setting(model, labels_of(model), _HOURS).outputs(0)
    held = {**model.state_dict(), **{f"output {n}": t.tensor for n, t in outputs.items()}}
    return {name: _hash(values) for name, values in held.items()}


@functools.cache
def elsewhere(distributions: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return the fingerprints of installed models by another process, once."""
    # Hashes of text start from another number there, whatever this process was given.
    here = os.environ.get("PYTHONHASHSEED", "random")
    ran = subprocess.run(
        [sys.executable, "-c", _START, __name__, *distributions],
        env={**os.environ, "PYTHONHASHSEED": "271" if here != "271" else "314"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no output"])[-1]
        raise AssertionError(
            f"{', '.join(distributions)}: expected models that another process can build; found "
            f"{last}. fix: build from what dagcast_models is given"
        )
    result: dict[str, dict[str, str]] = json.loads(ran.stdout)
    return result


def check_processes(installed: InstalledModel) -> None:
    """Another process builds the same model, which predicts the same, bit for bit."""
    mine = fingerprints(installed.build())
    # Where a run is restricted to some packages, one process builds them all.
    asked = tuple(name for name in os.environ.get(SELECTION, "").split(",") if name)
    found = elsewhere(asked if installed.distribution in asked else (installed.distribution,))
    theirs = found[str(installed)]
    for name in dict.fromkeys((*mine, *theirs)):
        model = str(installed).partition(":")[2]
        assert mine.get(name) == theirs.get(name), (
            f"{model}: expected the same {name!r} in every process; found "
            "another one in a second process. fix: sort what comes out of a set, and start from "
            "declared values, not from a clock or from random numbers"
        )


def main(distributions: list[str]) -> None:
    """Print the fingerprints of the models of some distributions."""
    torch.set_num_threads(2)
    with other_random_states(2718):
        found = {
            str(item): fingerprints(item.build())
            for item in installed_models(distributions)
            if item.error is None
        }
    print(json.dumps(found))


def _hash(values: torch.Tensor) -> str:
    data = values.detach().contiguous().cpu().numpy()
    return hashlib.sha256(f"{data.dtype} {data.shape}".encode() + data.tobytes()).hexdigest()[:16]
