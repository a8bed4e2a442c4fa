"""How far the joint fit moved each parameter, against how surely its own fit knew it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dagcast_core.model._evidence import Evidence
from dagcast_core.model._expected import linearised
from dagcast_core.model._flat import pieces
from dagcast_core.model._precision import Precision
from dagcast_core.model._report import Movement
from dagcast_core.model._unit import Unit


def movements(
    units: Sequence[Unit],
    precisions: Sequence[Precision],
    evidences: Sequence[Evidence],
    moves: Sequence[torch.Tensor],
) -> dict[str, dict[str, Movement]]:
    """Moves in posterior standard deviations of the own fit, by model and parameter."""
    movement: dict[str, dict[str, Movement]] = {}
    for unit, precision, evidence, move in zip(units, precisions, evidences, moves, strict=True):
        variance = precision.variances()
        if len(evidence):
            found = linearised([unit], [precision], evidence)
            (gain,) = found.gains
            known = torch.linalg.solve(evidence.covariance + found.spread, gain.mT)
            variance = variance - (gain * known.mT).sum(dim=1)
        scaled = move / variance.clamp(min=1e-300).sqrt()
        by_parameter = dict(
            zip(map(id, unit.flat.parameters), pieces(scaled, unit.flat.sizes), strict=True)
        )
        for part in unit.parts:
            named = {
                name.removesuffix(".raw"): by_parameter[id(parameter)]
                for name, parameter in part.model.named_parameters()
                if id(parameter) in by_parameter
            }
            movement[part.name] = {
                name: Movement(float(piece.abs().max()), float(piece.square().mean().sqrt()))
                for name, piece in named.items()
                if piece.numel()
            }
    return movement
