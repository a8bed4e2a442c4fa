"""Estimators of randomised experiments, from their raw cells and nothing else.

- Switchbacks (Bojinov, Simchi-Levi & Zhao 2023, doi:10.1287/mnsc.2022.4583): difference between
  treated and control windows within regions and dates, by least squares with fixed effects. The
  standard error is cluster-robust at the unit of randomisation (Abadie et al. 2023,
  doi:10.1093/qje/qjac038) with the bias-reduced adjustment CR2 of Bell & McCaffrey (2002), in the
  form of Pustejovsky & Tipton (2018), doi:10.1080/07350015.2016.1247004. Windows are randomised in
  pairs, so the pair is the unit (de Chaisemartin & Ramirez-Cuellar 2024, doi:10.1257/app.20210252).
- Geo tests: difference in differences of region means, variance by arm (Neyman).
- User splits: ratio of the arms' conversion, linearised, clustered by region-day.
- Elasticities of one outcome to another that a randomised lever moved: ratio of two effects
  (Wald), standard error by the delta method on the clusters' influences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class EstimationError(ValueError):
    """The cells cannot identify the effect."""


@dataclass(frozen=True)
class Effect:
    """A difference of means between two arms.

    Args:
        estimate: treatment minus control.
        standard_error: cluster-robust.
        control: mean of the control arm, adjusted as the estimate is.
        treatment: mean of the treatment arm, likewise.
        influence: one value per cluster; its squares sum to the variance.
        clusters: number of clusters.
        degrees_of_freedom: of the standard error: with few clusters the estimate's error over it is
            Student's t with as many.
    """

    estimate: float
    standard_error: float
    control: float
    treatment: float
    influence: Array
    clusters: int
    degrees_of_freedom: float


def fixed_effects_difference(
    outcome: ArrayLike,
    treated: ArrayLike,
    *,
    groups: tuple[ArrayLike, ...] = (),
    covariates: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> Effect:
    """Difference between arms given fixed effects of ``groups``, with CR2 standard errors.

    Args:
        outcome: (observation,).
        treated: (observation,) 0 or 1.
        groups: labels (observation,) whose fixed effects are taken out, e.g. region and date.
        covariates: (observation, covariate), taken out linearly; not influenced by treatment.
        clusters: labels (observation,) of the units of randomisation; every observation its own
            if not given.

    Raises:
        EstimationError: an arm is empty, fixed effects explain the treatment or everything, or a
            value is not finite.
    """
    y = np.asarray(outcome, dtype=np.float64)
    d = np.asarray(treated, dtype=np.float64)
    if not len(y):
        raise EstimationError("there is no observation")
    if not (np.isfinite(y).all() and np.isin(d, (0.0, 1.0)).all()):
        raise EstimationError("outcomes must be finite and treatment 0 or 1")
    if d.min() == d.max():
        raise EstimationError(f"all {len(d)} observations belong to one arm")
    columns = [np.ones((len(y), 1))]
    columns += [_dummies(np.asarray(group)) for group in groups]
    if covariates is not None:
        columns.append(np.asarray(covariates, dtype=np.float64).reshape(len(y), -1))
    controls = _basis(np.hstack(columns))
    left = d - controls @ (controls.T @ d)
    information = float(left @ left)
    if information < 1e-8 * len(d):
        raise EstimationError("fixed effects explain the treatment: no contrast is left")
    estimate = float(left @ y) / information
    design = np.hstack([controls, (left / np.sqrt(information))[:, None]])
    residual = y - design @ (design.T @ y)
    labels = np.arange(len(y)) if clusters is None else np.asarray(clusters)
    _, cluster = np.unique(labels, return_inverse=True)
    influence = np.zeros(int(cluster.max()) + 1)
    weights = np.zeros((len(y), len(influence)))
    order = np.argsort(cluster, kind="stable")
    for g, rows in enumerate(np.split(order, np.cumsum(np.bincount(cluster))[:-1])):
        weights[rows, g] = _adjustment(design[rows]) @ left[rows] / information
        influence[g] = weights[rows, g] @ residual[rows]
    # All clusters in one product: one by one they take most of the time where they are many.
    spread = weights - design @ (design.T @ weights)
    mean = float(y.mean())
    share = float(d.mean())
    return Effect(
        estimate=estimate,
        standard_error=float(np.sqrt(influence @ influence)),
        control=mean - share * estimate,
        treatment=mean + (1 - share) * estimate,
        influence=influence,
        clusters=len(influence),
        degrees_of_freedom=_satterthwaite(spread),
    )


def wald_elasticity(outcome: Effect, lever: Effect) -> tuple[float, Array]:
    """Change of the log outcome per change of the log lever, with the clusters' influences on it.

    The squares of the influences sum to its variance.

    Args:
        outcome: effect on the outcome.
        lever: effect on the lever, from the same windows, so that clusters match one to one.

    Raises:
        EstimationError: clusters differ, an arm's mean is not positive, or the lever did not move.
    """
    if outcome.clusters != lever.clusters:
        raise EstimationError(
            f"outcome has {outcome.clusters} clusters and lever {lever.clusters}; "
            "they must come from the same windows"
        )
    rise, rise_influence = _log_ratio(outcome)
    move, move_influence = _log_ratio(lever)
    if abs(move) < 1e-9:
        raise EstimationError("the lever did not move between the arms")
    elasticity = rise / move
    return elasticity, (rise_influence - elasticity * move_influence) / move


def difference_in_differences(before: ArrayLike, after: ArrayLike, treated: ArrayLike) -> Effect:
    """Geo test: change of treated regions minus change of the others.

    Args:
        before: (region,) mean outcome before the test.
        after: (region,) mean outcome in the test.
        treated: (region,) 0 or 1.

    Raises:
        EstimationError: fewer than two regions in an arm.
    """
    first, last = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    d = np.asarray(treated, dtype=np.float64)
    change = last - first
    count = np.array([(d == 0).sum(), (d == 1).sum()])
    if count.min() < 2:
        raise EstimationError(
            f"a geo test needs two regions in each arm; got {count[1]} treated, {count[0]} others"
        )
    means = np.array([change[d == arm].mean() for arm in (0, 1)])
    size = np.where(d == 1, count[1], count[0])
    # n / (n - 1) makes the squares sum to Neyman's variance.
    influence = np.where(d == 1, 1, -1) * (change - means[d.astype(int)]) / size
    influence = influence * np.sqrt(size / (size - 1))
    estimate = float(means[1] - means[0])
    base = float(first[d == 1].mean() + means[0])
    return Effect(
        estimate,
        float(np.sqrt(influence @ influence)),
        base,
        base + estimate,
        influence,
        len(change),
        # The fewer of the two arms': a test of few regions promises little.
        float(count.min() - 1),
    )


def split_ratio(
    numerator: ArrayLike, denominator: ArrayLike, treated: ArrayLike, clusters: ArrayLike
) -> tuple[float, Array]:
    """Log of the ratio of the arms' rates, with the clusters' influences on it.

    The squares of the influences sum to its variance.

    Args:
        numerator: (cell,) e.g. rides of one arm in a region-hour.
        denominator: (cell,) e.g. sessions of the same.
        treated: (cell,) 0 or 1.
        clusters: (cell,) labels shared by both arms, e.g. region-day.

    Raises:
        EstimationError: an arm has no success.
    """
    a, b = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    d = np.asarray(treated, dtype=np.float64)
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    influence = np.zeros(int(cluster.max()) + 1)
    logs = []
    for arm, sign in ((0, -1.0), (1, 1.0)):
        mine = d == arm
        top, bottom = float(a[mine].sum()), float(b[mine].sum())
        if top <= 0 or bottom <= 0:
            raise EstimationError("an arm of the split has no sessions or no rides")
        rate = top / bottom
        logs.append(np.log(rate))
        score = (a[mine] - rate * b[mine]) / top
        influence += sign * np.bincount(cluster[mine], score, minlength=len(influence))
    factor = len(influence) / max(len(influence) - 1, 1)
    return float(logs[1] - logs[0]), np.sqrt(factor) * influence


def _satterthwaite(spread: Array) -> float:
    """Degrees of freedom of the sum of the squared influences, at least 1 (Bell & McCaffrey 2002).

    ``spread`` maps independent errors of observations to the clusters' influences.
    """
    gram = spread.T @ spread
    if not np.trace(gram) > 1e-12:
        raise EstimationError("as many effects as observations: nothing is left for an error")
    return max(float(np.trace(gram) ** 2 / (gram**2).sum()), 1.0)


def _dummies(labels: NDArray[np.generic]) -> Array:
    _, position = np.unique(labels, return_inverse=True)
    return np.eye(int(position.max()) + 1)[position]


def _basis(matrix: Array) -> Array:
    # Fixed effects of several groups are collinear; the SVD keeps what is independent.
    u, s, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.ascontiguousarray(u[:, s > 1e-10 * s[0]])


def _adjustment(rows: Array) -> Array:
    """(I - H_g)^(-1/2) of a cluster, by its eigenvalues."""
    values, vectors = np.linalg.eigh(np.eye(len(rows)) - rows @ rows.T)
    scale = np.where(values > 1e-8, 1 / np.sqrt(np.maximum(values, 1e-8)), 0.0)
    root: Array = (vectors * scale) @ vectors.T
    return root


def _log_ratio(effect: Effect) -> tuple[float, Array]:
    if effect.control <= 0 or effect.treatment <= 0:
        raise EstimationError("an elasticity needs positive means in both arms")
    slope = 0.5 / effect.control + 0.5 / effect.treatment
    return float(np.log(effect.treatment / effect.control)), slope * effect.influence
