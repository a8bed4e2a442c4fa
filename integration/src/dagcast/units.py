"""What a project counts in, against what its quantities are declared in.

A sum over quantities of several units is only as right as its weights. What no weight can explain
is refused: an objective in USD that adds cents as they are.
"""

from collections.abc import Iterable, Iterator

from dagcast.config import Config
from dagcast_core.contract import PROJECT_LABEL, Problem, Quantity, Registration, total_unit

# Units that are so many of another: cents that are added to dollars are nobody's trade-off.
_SCALES = (
    ("cent", "USD", 0.01),
    ("cent", "EUR", 0.01),
    ("s", "min", 1 / 60),
    ("s", "h", 1 / 3600),
    ("min", "h", 1 / 60),
    ("h", "day", 1 / 24),
    ("m", "km", 0.001),
)


def unit_problems(config: Config, registrations: Iterable[Registration]) -> tuple[Problem, ...]:
    """Report objectives and limits that count in other units than their quantities.

    Args:
        config: the project's settings.
        registrations: the models that take part. Quantities that none of them knows are somebody
            else's problem.
    """
    owners: dict[str, tuple[str, Quantity]] = {}
    models = list(registrations)
    for item in models:
        owners |= {quantity.name: (str(item), quantity) for quantity in item.contract.outputs}
    for item in models:
        for asked in item.contract.inputs:
            # A lever has no producer; readers that declare it differently are a problem of theirs.
            owners.setdefault(asked.name, ("", asked.quantity))
    return (*_objective(config, owners), *_limits(config, owners))


def scale(unit: str, other: str) -> float | None:
    """Return how many of ``other`` one ``unit`` is; None where that is no matter of scale.

    Example:
        >>> scale("cent", "USD"), scale("h", "min"), scale("ride", "USD")
        (0.01, 60.0, None)
    """
    for small, large, factor in _SCALES:
        if (unit, other) == (small, large):
            return factor
        if (unit, other) == (large, small):
            return round(1 / factor, 9)
    return None


def _objective(config: Config, owners: dict[str, tuple[str, Quantity]]) -> Iterator[Problem]:
    wanted = config.objective.unit
    if list(config.objective.weights.values()) == [1.0]:
        # One quantity, counted as it is: the assembly compares its unit with the objective's.
        return
    for name, weight in config.objective.weights.items():
        if name not in owners or not wanted:
            continue
        producer, quantity = owners[name]
        total = total_unit(quantity)
        factor = scale(total, wanted)
        # Any other weight is somebody's decision of what a unit is worth.
        if factor is not None and abs(weight) == 1:
            signed = factor if weight > 0 else -factor
            yield Problem.of(
                "DC105",
                name,
                consumer=PROJECT_LABEL,
                producer=producer,
                expected=f"{wanted} over the horizon, as [objective] counts",
                found=f"{total} with the weight {weight:g}, which adds {total} to {wanted}",
                fix=f"write {name} = {signed:g} in the weights of [objective], or count in {total}",
            )


def _limits(config: Config, owners: dict[str, tuple[str, Quantity]]) -> Iterator[Problem]:
    for name, lever in config.levers.items():
        yield from _compared(f"[levers.{name}]", name, lever.unit, owners, total=False)
    for ramp in config.ramps:
        yield from _compared("[[ramps]]", ramp.lever, ramp.unit, owners, total=False)
    for budget in config.budgets:
        for name in budget.levers or (budget.lever,):
            yield from _compared("[[budgets]]", name, budget.unit, owners, total=True)
    for rail in config.guardrails:
        summed = rail.reduce == "sum" and rail.weight is None
        yield from _compared("[[guardrails]]", rail.quantity, rail.unit, owners, total=summed)


def _compared(
    table: str,
    name: str,
    unit: str | None,
    owners: dict[str, tuple[str, Quantity]],
    *,
    total: bool,
) -> Iterator[Problem]:
    if unit is None or name not in owners:
        return
    producer, quantity = owners[name]
    # A budget is on the sum over the horizon, also of what is a rate by its unit alone.
    counted = quantity.unit.removesuffix("/h") if total else quantity.unit
    if unit == counted:
        return
    factor = scale(unit, counted)
    times = "" if factor is None else f", its figures times {factor:g},"
    yield Problem.of(
        "DC105",
        name,
        consumer=PROJECT_LABEL,
        producer=producer,
        expected=f"{unit}, as {table} says",
        found=f"{counted}, which the limit counts",
        fix=f"write the limit in {counted}{times} and unit = {counted!r}",
    )
