"""The driver-hours identity, kept on its stable branch, and cleared with the riders' answer.

Every online driver hour is spent idle, on the way to a pickup, or carrying a rider:

    supply = idle + rides * pickup(idle) + rides * trip
    pickup(idle) = scale * idle ** -exponent

Riders who would wait long do not ride, so rides follow the pickup as well:

    rides = wanted * exp(-calm * pickup(idle))

``cleared_idle`` solves both as one equation in ``idle``.

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
# Newton from the right converges monotonically on a convex function; next to the fold, where it is
# slowest, eight steps and the two below reach 1e-10 relative for exponents between 0.1 and 2
# (tests/test_identity.py).
_STEPS = 8
# Steps inside a bracket; Newton takes over after a few, the two below then reach 1e-10 relative.
_CLEARING_STEPS = 14


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
    return rides * _bend(rides, most)[0]


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


def cleared_idle(
    supply: torch.Tensor,
    wanted: torch.Tensor,
    trip: torch.Tensor,
    scale: torch.Tensor,
    exponent: torch.Tensor,
    calm: torch.Tensor,
    most: torch.Tensor,
) -> torch.Tensor:
    """Idle drivers where the hours balance and riders have answered to the pickup.

    ``idle + served * (scale * idle ** -exponent + trip) = supply`` with
    ``served = served_rides(wanted * exp(-calm * scale * idle ** -exponent), most)``.

    More rides always mean a longer pickup and a longer pickup fewer rides, so there is exactly one
    solution on the stable branch, and it lies between that of ``wanted`` riders who do not answer
    and the whole supply.

    Args:
        supply: driver hours per hour, > 0.
        wanted: rides per hour if the pickup took no time, > 0.
        trip: hours that a ride takes besides the part of the pickup that idle drivers shorten, > 0.
        scale: pickup hours at one idle driver, > 0.
        exponent: of idle drivers in pickup time, > 0.
        calm: log rides lost per hour of the pickup, >= 0.
        most: as returned by ``most_rides``.

    Returns:
        Idle driver hours per hour, with exact derivatives up to the third.
    """
    given = (supply, wanted, trip, scale, exponent, calm, most)
    with torch.no_grad():
        served = served_rides(wanted, most)
        low = idle_hours(supply - served * trip, served, scale, exponent)
        high = supply + torch.zeros_like(low)
        idle = low
        for _ in range(_CLEARING_STEPS):
            gap, slope = _clearing(idle, *given)
            low, high = torch.where(gap < 0, idle, low), torch.where(gap < 0, high, idle)
            step = idle * torch.exp(-gap / (slope * idle))
            # Newton in logs where it stays inside the bracket, the middle where it does not.
            inside = (step > low) & (step < high)
            idle = torch.where(inside, step, (low * high).sqrt())
    for _ in range(2):
        gap, slope = _clearing(idle, *given)
        idle = idle - gap / slope
    return idle


def _clearing(
    idle: torch.Tensor,
    supply: torch.Tensor,
    wanted: torch.Tensor,
    trip: torch.Tensor,
    scale: torch.Tensor,
    exponent: torch.Tensor,
    calm: torch.Tensor,
    most: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hours asked for beyond the supply at so many idle drivers, and their slope in ``idle``."""
    near = scale * idle**-exponent
    rides = wanted * torch.exp(-calm * near)
    kept, strained = _bend(rides, most)
    served = rides * kept
    # By idle: the pickup, log rides, and rides served per rides.
    steeper = -exponent * near / idle
    answer = -calm * steeper
    gap = idle + served * (near + trip) - supply
    slope = 1 + served * (steeper + answer / strained * (near + trip))
    return gap, slope


def _bend(rides: torch.Tensor, most: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Share of rides served, ``strained ** (-1 / 8)``, and ``strained`` itself, 1 in slack hours.

    The sharpness is 8: at 70 % of the most rides the bend takes away 0.7 %, at 50 % nothing to
    speak of. Squares and roots take a fifth of the time of a power.
    """
    strained = 1 + (rides / (_MARGIN * most)).square().square().square()
    return strained.sqrt().sqrt().rsqrt(), strained


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
