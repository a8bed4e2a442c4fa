"""The driver-hours identity, kept on its stable branch.

Every online driver hour is spent idle, on the way to a pickup, or carrying a rider:

    supply = idle + rides * pickup(idle) + rides * trip
    pickup(idle) = scale * idle ** -exponent

Given rides, ``idle + rides * pickup(idle)`` is convex in ``idle``. Above its minimum there are two
solutions: a stable one with many idle drivers, and the wild-goose chase, in which pickups eat the
supply. Below it there is none: so many rides cannot be served. The minimum, the fold, lies at
``idle ** (1 + exponent) = exponent * rides * scale``; put into the identity it gives the most rides
that a supply can serve. We let rides bend smoothly below that number and return the stable
solution, so that values and derivatives stay finite wherever an optimiser looks: more riders always
mean a longer pickup, more drivers a shorter one.

Source: Castillo, Knoepfle & Weyl, "Matching in ride hailing: wild goose chases and how to solve
them" (2024); the power law of pickup time follows from the nearest of uniformly spread drivers.
"""

import torch

# Rides stay this far below the fold, where the pickup has an infinite slope.
_MARGIN = 0.97
# Sharpness of the bend: at 70 % of the most rides it takes away 0.7 %, at 50 % nothing to speak of.
_SHARPNESS = 8
# Newton from the right converges monotonically on a convex function; next to the fold, where it is
# slowest, eight steps and the two below reach 1e-10 relative for exponents between 0.1 and 2
# (tests/test_identity.py).
_STEPS = 8


def most_rides(
    supply: torch.Tensor, trip: torch.Tensor, scale: torch.Tensor, exponent: torch.Tensor
) -> torch.Tensor:
    """The most rides per hour that a supply can serve.

    Args:
        supply: driver hours per hour, > 0.
        trip: hours that a ride takes besides the part of the pickup that idle drivers shorten, > 0.
        scale: pickup hours at one idle driver, > 0.
        exponent: of idle drivers in pickup time, > 0.

    Returns:
        Rides per hour, with exact derivatives up to the third.
    """
    # At the fold, with rides = idle ** (1 + exponent) / (exponent * scale), the identity reads
    # (1 + 1 / exponent) * idle + trip * rides = supply: convex and increasing in idle.
    share = 1 + 1 / exponent
    weight = trip / (exponent * scale)
    with torch.no_grad():
        alone = (supply / weight) ** (1 / (1 + exponent))
        idle = torch.minimum(supply / share, alone)
        for _ in range(_STEPS):
            idle = _fold_step(idle, supply, share, weight, exponent)
    for _ in range(2):
        idle = _fold_step(idle, supply, share, weight, exponent)
    return idle ** (1 + exponent) / (exponent * scale)


def served_rides(rides: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """Rides wanted, bent smoothly below the most that can be served.

    Args:
        rides: wanted per hour, > 0.
        most: as returned by ``most_rides``.
    """
    strain = (rides / (_MARGIN * most)) ** _SHARPNESS
    return rides * (1 + strain) ** (-1 / _SHARPNESS)


def idle_hours(
    room: torch.Tensor, rides: torch.Tensor, scale: torch.Tensor, exponent: torch.Tensor
) -> torch.Tensor:
    """Solve ``idle + rides * scale * idle ** -exponent = room`` on the stable branch.

    Args:
        room: driver hours per hour left after trips, supply - rides * trip.
        rides: rides per hour, > 0, fewer than the most that can be served.
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
            idle = _idle_step(idle, room, load, exponent)
    for _ in range(2):
        idle = _idle_step(idle, room, load, exponent)
    return idle


def _fold_step(
    idle: torch.Tensor,
    supply: torch.Tensor,
    share: torch.Tensor,
    weight: torch.Tensor,
    exponent: torch.Tensor,
) -> torch.Tensor:
    busy = weight * idle ** (1 + exponent)
    return idle - (share * idle + busy - supply) / (share + (1 + exponent) * busy / idle)


def _idle_step(
    idle: torch.Tensor, room: torch.Tensor, load: torch.Tensor, exponent: torch.Tensor
) -> torch.Tensor:
    chase = load * idle**-exponent
    return idle - (idle + chase - room) / (1 - exponent * chase / idle)
