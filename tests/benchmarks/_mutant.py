"""Judge one mutant in a process of its own: does it predict otherwise, and does its CI see it?

    python _mutant.py PACKAGE_FOLDER BASELINE.npz

The mutant's sources come first on the path. Without the baseline, the file is written: what the
models as they are predict, with their gradients, as built and after a warm start.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from dagcast_core.model import Model
from dagcast_testing._history import whole_history
from dagcast_testing._installed import installed_models
from dagcast_testing._setting import Labels, Setting, labels_of

# Exit codes: the same predictions, no prediction at all, other ones seen by the CI, and unseen.
SAME, BROKEN, CAUGHT, MISSED = 10, 11, 12, 13
_TOLERANCE = 1e-3


def predictions(distribution: str) -> dict[str, np.ndarray]:
    """Outputs and gradients of every model of a distribution, by model and name."""
    held = {}
    for installed in installed_models([distribution]):
        model = installed.build()
        known = labels_of(model)
        started = copy.deepcopy(model)
        started.warm_start(whole_history(Setting(model, known, 60), 0))
        for stage, what in (("built", model), ("started", started)):
            for name, values in _predicted(what, known).items():
                held[f"{installed} {stage} {name}"] = values
        # A region that no history knows; not to serve it is to predict otherwise.
        wider = {**known, "region": (*known["region"], "new")}
        try:
            unseen = _predicted(model, wider)
        except Exception:
            unseen = {}
        held.update({f"{installed} unseen {name}": values for name, values in unseen.items()})
    return held


def _predicted(model: Model, labels: Labels) -> dict[str, np.ndarray]:
    inputs, outputs = Setting(model, labels, 60).traced(0)
    held = {}
    for name, output in outputs.items():
        held[name] = output.tensor.detach().numpy()
        for lever, tensor in inputs.items():
            if tensor.tensor.requires_grad and output.tensor.requires_grad:
                (slope,) = torch.autograd.grad(
                    output.tensor.sum(), tensor.tensor, retain_graph=True, allow_unused=True
                )
                found = torch.zeros_like(tensor.tensor) if slope is None else slope
                held[f"{name} by {lever}"] = found.numpy()
    return held


def differ(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """Whether any value is off by more than a thousandth of the largest of its kind."""
    if left.keys() != right.keys():
        return True
    for name, values in left.items():
        other = right[name]
        if values.shape != other.shape:
            return True
        size = np.nanmax(np.abs(values), initial=0.0)
        near = np.isclose(values, other, rtol=0.0, atol=_TOLERANCE * size + 1e-12, equal_nan=True)
        if not near.all():
            return True
    return False


def main(folder: str, baseline: str) -> int:
    """Write the baseline, or judge the mutant."""
    torch.set_num_threads(1)
    distribution = f"dagcast-{Path(folder).name}"
    if not Path(baseline).exists():
        np.savez(baseline, **predictions(distribution))
        return 0
    try:
        found = predictions(distribution)
    # A mutant may fail in any way; then it predicts nothing at all.
    except Exception:
        return BROKEN
    with np.load(baseline) as data:
        if not differ(dict(data), found):
            return SAME
    # The suite first: it is quick, and a failure ends the run.
    tests = sorted(Path(folder, "tests").glob("test_*.py"), key=lambda p: "contract" not in p.name)
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line"),
            *map(str, tests),
        ],
        check=False,
    )
    return CAUGHT if ran.returncode else MISSED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
