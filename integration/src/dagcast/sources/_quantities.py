"""What the installed models say of the quantities that a source has."""

from collections.abc import Mapping

from dagcast.sources._places import Finding
from dagcast.sources._settings import Measure, SourceSettings
from dagcast_core.contract import Quantity, nearest

HOUR = "hour"


def ordered_dims(settings: SourceSettings, quantities: Mapping[str, Quantity]) -> tuple[str, ...]:
    """The dims of a source in the order in which models have them."""
    dims = list(settings.dims)
    for name in settings.quantities:
        if name in quantities:
            order = [dim for dim in quantities[name].dim_names if dim in dims]
            return (*order, *(dim for dim in dims if dim not in order))
    return tuple(dims)


def unit_of(
    name: str,
    measure: Measure,
    settings: SourceSettings,
    quantities: Mapping[str, Quantity],
    findings: list[Finding],
) -> str:
    """A quantity's unit: the models' own; what is declared must not be another one."""
    quantity = quantities.get(name)
    key = ("quantities", name)
    if quantity is None:
        if measure.unit is None:
            near = nearest(name, quantities)
            fix = f'Add unit = "...", or did you mean {near!r}?' if near else 'Add unit = "...".'
            expected = "a quantity with a unit, since no installed model knows it"
            findings.append(Finding(key, expected, "none", fix))
        return measure.unit or "1"
    if measure.unit is not None and measure.unit != quantity.unit:
        fix = 'Convert it by an expression, such as { sql = "x / 60" }, or rename the quantity.'
        expected = f"in {quantity.unit}, as the models have it"
        findings.append(Finding((*key, "unit"), expected, repr(measure.unit), fix))
    wanted = [dim for dim in quantity.dim_names if dim != HOUR]
    if set(wanted) != set(settings.dims):
        fix = f"Say dims = {{ {', '.join(f'{dim} = ...' for dim in wanted)} }}."
        expected = f"a quantity by {', '.join(wanted) or 'hour alone'}, as the models have it"
        found = f"dims {', '.join(settings.dims) or 'none'}"
        findings.append(Finding(key, expected, found, fix))
    return quantity.unit
