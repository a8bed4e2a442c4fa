"""The same models in another process: what they start with and predict, as fingerprints.

    python -c "from dagcast_testing._twin import main; main(['dagcast-eta'], {})"

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
from dagcast_testing._outside import environment_reads
from dagcast_testing._problems import SELECTION, said
from dagcast_testing._setting import Setting, labels_of, ordinary_labels
from dagcast_testing._source import other_random_states

_HOURS = 30
# Beside the fingerprints by model, and instead of those of one.
HEAVY, READS, ERROR = "imports", "environment", "error"
# It lives for a second or two: looking for garbage would take a seventh of that.
_START = (
    "import gc; gc.disable(); import importlib, sys; "
    # Before torch is there: it could not be refused later.
    "from dagcast_testing._declaring import heavy; found = heavy(sys.argv[2:]); "
    "importlib.import_module(sys.argv[1]).main(sys.argv[2:], found); "
    # And so would taking apart what it imported.
    "sys.stdout.flush(); import os; os._exit(0)"
)


def fingerprints(model: Model) -> dict[str, str]:
    """Return one short hash for every entry of the state and every output."""
    outputs = Setting(model, labels_of(model), _HOURS).outputs(0)
    held = {**model.state_dict(), **{f"output {n}": t.tensor for n, t in outputs.items()}}
    # What is kept by label is kept in the order of its labels, which values that start alike hide.
    labels = {
        f"labels of {name}": hashlib.sha256(repr(parameter.indexes).encode()).hexdigest()[:16]
        for name, parameter in model.labelled_parameters()
    }
    return {**{name: _hash(values) for name, values in held.items()}, **labels}


def build(item: InstalledModel) -> Model:
    """Build a model for so many labels that no two sets of them come in one order by chance."""
    dims = {dim for contract in item.declared() for dim in ordinary_labels(contract)}
    return item.build({dim: tuple(f"{dim} {letter}" for letter in "abcdefghi") for dim in dims})


@functools.cache
def elsewhere(distributions: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return the fingerprints of installed models by another process, once.

    Beside them, by the name of a distribution, what of it does not import lightly and what reads
    the environment while models are built.
    """
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
        last = (ran.stderr.strip().splitlines() or ["no output"])[-1].removesuffix(".")
        raise AssertionError(
            f"{', '.join(distributions)}: expected models that another process can build; found "
            f"{last}. fix: build from what dagcast_models is given"
        )
    result: dict[str, dict[str, str]] = json.loads(ran.stdout)
    return result


def check_processes(installed: InstalledModel) -> None:
    """Another process builds the same model, which predicts the same, bit for bit."""
    theirs = _found(installed)[str(installed)]
    model = str(installed).partition(":")[2]
    assert ERROR not in theirs, (
        f"{model}: expected a model that another process can build, for other labels; found "
        f"{theirs[ERROR]}. fix: build from what dagcast_models is given"
    )
    mine = fingerprints(build(installed))
    assert READS not in theirs, (
        f"{model}: expected the same model on every machine; found that {theirs[READS]} "
        "while it is built. fix: take it from the arguments of the constructor"
    )
    for name in dict.fromkeys((*mine, *theirs)):
        assert mine.get(name) == theirs.get(name), (
            f"{model}: expected the same {name!r} in every process; found "
            "another one in a second process. fix: sort what comes out of a set, and start from "
            "declared values, not from a clock or from random numbers"
        )


def check_declares_lightly(installed: InstalledModel) -> None:
    """What the package declares can be asked without torch and pandas."""
    heavy = _found(installed)[HEAVY].get(installed.distribution)
    assert heavy is None, (
        f"{str(installed).partition(':')[2]}: expected a package that says what it declares "
        f"without torch and pandas; found {heavy}, which every check would pay for. fix: import "
        "it, and models, inside dagcast_models, and for annotations under `if TYPE_CHECKING:`"
    )


def _found(installed: InstalledModel) -> dict[str, dict[str, str]]:
    # Where a run is restricted to some packages, one process builds them all.
    asked = tuple(name for name in os.environ.get(SELECTION, "").split(",") if name)
    return elsewhere(asked if installed.distribution in asked else (installed.distribution,))


def main(distributions: list[str], heavy: dict[str, str]) -> None:
    """Print the fingerprints of the models of some distributions, and ``heavy``."""
    torch.set_num_threads(2)
    found = {HEAVY: heavy}
    with other_random_states(2718):
        for item in installed_models(distributions):
            if item.error is None:
                found[str(item)] = _built(item)
    print(json.dumps(found))


def _built(item: InstalledModel) -> dict[str, str]:
    try:
        model = build(item)
        with environment_reads(model) as read:
            model = build(item)
        prints = fingerprints(model)
    # A model may fail in any way; the process that asked has the words for it.
    except Exception as error:
        return {ERROR: said(error)}
    return {**prints, READS: read[0]} if read else prints


def _hash(values: torch.Tensor) -> str:
    data = values.detach().contiguous().cpu().numpy()
    return hashlib.sha256(f"{data.dtype} {data.shape}".encode() + data.tobytes()).hexdigest()[:16]
