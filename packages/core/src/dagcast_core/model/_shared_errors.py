"""Variances and correlations of experiments' errors, as far as few clusters can tell them."""

from __future__ import annotations

import math
from datetime import datetime

import torch

from dagcast_core.contract import Experiment, ExperimentSet

# Correlation of two estimates from one trial's cells before its clusters have been looked at: they
# share the same weeks and the same luck of the draw, and each has noise of its own.
_USUAL = 0.5
# Degrees of freedom that trials of the same kind lend each other. With four, a quarter of 16
# estimates lay beyond their 95 % interval (4 x 12, seeds 100 to 103), with two or less an eighth.
_LENT = 2.0
# A standard error from more clusters than this needs no help, and lends no more than this.
_MANY = 30.0


def covariance_of(experiments: ExperimentSet) -> torch.Tensor:
    """Covariance of the estimates as measured; (experiment, experiment)."""
    names = [experiment.name for experiment in experiments]
    matrix = torch.diag(
        torch.tensor([e.standard_error**2 for e in experiments], dtype=torch.float64)
    )
    for group, block in experiments.covariances.items():
        places = [names.index(member.name) for member in experiments.members(group)]
        for row, values in zip(places, block, strict=True):
            for column, value in zip(places, values, strict=True):
                matrix[row, column] = value
    return matrix


def trusted_share(freedom: float, members: int) -> float:
    """How much of the correlations that a trial's clusters show is believed, from 0 to 1.

    The mean of an inverse Wishart posterior whose prior counts as many clusters as there are
    estimates: with fewer degrees of freedom than estimates the sample correlations are an artefact
    of the fit (singular, close to 1), and nothing of them is kept.

    Args:
        freedom: degrees of freedom of the covariance.
        members: number of estimates.
    """
    if not math.isfinite(freedom):
        return 1.0
    return max(freedom - members + 1.0, 0.0) / (freedom + 2.0)


def freedoms_of(experiments: ExperimentSet) -> list[float]:
    """Degrees of freedom of each error's variance, those lent by others included."""
    return [_moderated(item, experiments)[1] for item in experiments]


def _moderated(item: Experiment, experiments: ExperimentSet) -> tuple[float, float]:
    """Variance and degrees of freedom of an error, helped by trials of the same kind.

    A standard error from a few clusters may come out several times too small by luck. Trials that
    measured the same outcome elsewhere or of another lever tell what is usual, by cell: the
    moderated variance of Smyth (2004), doi:10.2202/1544-6115.1027.
    """
    own, freedom = item.standard_error**2, item.degrees_of_freedom
    if freedom is None or freedom >= _MANY:
        return own, math.inf if freedom is None else freedom
    alike = [other for other in experiments if _alike(item, other)]
    weights = [min(other.degrees_of_freedom or _MANY, _MANY) for other in alike]
    lent = min(_LENT, sum(weights))
    if not lent:
        return own, freedom
    usual = sum(
        weight * other.standard_error**2 * _per_cell(other, item)
        for weight, other in zip(weights, alike, strict=True)
    ) / sum(weights)
    return (lent * usual + freedom * own) / (lent + freedom), lent + freedom


def _alike(item: Experiment, other: Experiment) -> bool:
    """Whether another trial's error says how large this one's usually is."""
    return (
        other.name != item.name
        and (item.group is None or other.group != item.group)
        and other.design == item.design
        and (other.outcome, other.scale, other.reduce) == (item.outcome, item.scale, item.reduce)
        and other.cells.dim == item.cells.dim
        and (item.scale != "elasticity" or other.levers == item.levers)
    )


def _per_cell(other: Experiment, item: Experiment) -> float:
    """Factor from one trial's variance to what another of its kind would have, by their cells."""
    sizes = []
    for cells in (other.cells, item.cells):
        hours = (datetime.fromisoformat(cells.end) - datetime.fromisoformat(cells.start)).days + 1
        of_day = len(cells.counted_hours or cells.local_hours) or 24
        sizes.append(len(cells.labels) * hours * of_day)
    ratio = sizes[0] / sizes[1]
    return 1.0 / ratio if item.reduce == "sum" else ratio


def errors_of(experiments: ExperimentSet) -> torch.Tensor:
    """Covariance of the estimates' errors as far as it can be believed; (experiment, experiment).

    Variances are moderated, and correlations from few clusters go towards an equal correlation, as
    in Ledoit & Wolf (2004), doi:10.3905/jpm.2004.110; it is their mean, itself drawn towards a
    usual one. Taken raw, an estimate with twice the error of its neighbour and a correlation of
    0.99 gets a negative weight (Peelle's pertinent puzzle): a low reading pushes the effect up.
    """
    covariance = covariance_of(experiments)
    places = {experiment.name: i for i, experiment in enumerate(experiments)}
    for group in experiments.covariances:
        members = experiments.members(group)
        freedom = min(
            (m.degrees_of_freedom for m in members if m.degrees_of_freedom is not None),
            default=math.inf,
        )
        share = trusted_share(freedom, len(members))
        if share == 1.0 or len(members) < 2:
            continue
        at = torch.tensor([places[member.name] for member in members])
        block = covariance[at][:, at]
        spread = block.diagonal().sqrt()
        correlation = block / (spread.unsqueeze(0) * spread.unsqueeze(1))
        apart = ~torch.eye(len(members), dtype=torch.bool)
        level = max(share * float(correlation[apart].mean()) + (1.0 - share) * _USUAL, 0.0)
        target = torch.where(apart, torch.full_like(block, level), torch.ones_like(block))
        kept = share * correlation + (1.0 - share) * target
        rows, columns = torch.meshgrid(at, at, indexing="ij")
        covariance[rows, columns] = kept * spread.unsqueeze(0) * spread.unsqueeze(1)
    growth = torch.tensor(
        [_moderated(item, experiments)[0] ** 0.5 / item.standard_error for item in experiments],
        dtype=torch.float64,
    )
    return covariance * growth.unsqueeze(0) * growth.unsqueeze(1)
