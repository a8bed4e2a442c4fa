"""Idle driver hours from the driver-hours identity, kept on its stable branch.

Every online driver hour is spent idle, on the way to a pickup, or carrying a rider:

    supply = idle + rides * pickup(idle) + rides * trip
    pickup(idle) = scale * idle ** -exponent

With ``room = supply - rides * trip`` this is one equation in ``idle``. Its left-over side,
``idle + rides * pickup(idle)``, is convex with its minimum at
``fold = (exponent * rides * scale) ** (1 / (1 + exponent))``. Above the minimum there are two
solutions: a stable one with many idle drivers, and the wild-goose chase, in which pickups eat the
supply. Below it there is none. We return the stable one and keep ``room`` away from the minimum
smoothly, so that values and derivatives stay finite wherever an optimiser looks.

Source: Castillo, Knoepfle & Weyl, "Matching in ride hailing: wild goose chases and how to solve
them" (2024); the power law of pickup time follows from the nearest of uniformly spread drivers.
"""

import torch

# Distance kept from the fold, as a share of the smallest room that has a solution. At 2 % the slope
# of the convex side is still 0.2-0.3, so Newton converges quickly and derivatives stay moderate.
_MARGIN = 0.02
# Half-width of the smooth bend that keeps the distance, as a share of the same room.
_BEND = 0.15
# Newton from the right converges monotonically on a convex function; at the margin, where it is
# slowest, nine steps reach 1e-12 relative for exponents between 0.1 and 2 (tests/test_identity.py).
_STEPS = 12


def guarded_room(
    room: torch.Tensor, rides: torch.Tensor, scale: torch.Tensor, exponent: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep ``room`` above the smallest value that has a solution.

    Args:
        room: driver hours per hour left after carrying riders; any sign.
        rides: rides per hour, > 0.
        scale: pickup hours at one idle driver, > 0.
        exponent: of idle drivers in pickup time, > 0.

    Returns:
        The guarded room, and the shortfall: how much was added, as a share of the smallest room;
        near 0 in slack hours, rising by 1 per smallest room missing in hours beyond the fold.
    """
    smallest = (1 + _MARGIN) * _fold(rides, scale, exponent) * (1 + 1 / exponent)
    excess = (room - smallest) / smallest
    # A hyperbola, not softplus: its tail keeps a usable derivative far beyond the fold.
    bent = 0.5 * (excess + (excess * excess + _BEND * _BEND).sqrt())
    return smallest * (1 + bent), bent - excess


def idle_hours(
    room: torch.Tensor, rides: torch.Tensor, scale: torch.Tensor, exponent: torch.Tensor
) -> torch.Tensor:
    """Solve ``idle + rides * scale * idle ** -exponent = room`` on the stable branch.

    Args:
        room: as returned by ``guarded_room``.
        rides: rides per hour, > 0.
        scale: pickup hours at one idle driver, > 0.
        exponent: of idle drivers in pickup time, > 0.

    Returns:
        Idle driver hours per hour, in the broadcast shape, with exact first, second and third
        derivatives: two Newton steps that are part of the graph, taken at the solution, carry them
        (each step doubles the order that is exact), so the iteration itself needs no graph.
    """
    load = rides * scale
    with torch.no_grad():
        # On the stable branch the solution lies between the fold and the whole room.
        idle = room + torch.zeros_like(load)
        for _ in range(_STEPS):
            idle = _newton(idle, room, load, exponent)
    for _ in range(2):
        idle = _newton(idle, room, load, exponent)
    return idle


def _newton(
    idle: torch.Tensor, room: torch.Tensor, load: torch.Tensor, exponent: torch.Tensor
) -> torch.Tensor:
    chase = load * idle**-exponent
    return idle - (idle + chase - room) / (1 - exponent * chase / idle)


def _fold(rides: torch.Tensor, scale: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    return (exponent * rides * scale) ** (1 / (1 + exponent))
