"""What cannot be asked, kept or computed, with what a person needs to correct it."""

from __future__ import annotations

from torch import Tensor

__all__ = ["DecisionError", "EmptySetError", "NonFiniteError"]


class DecisionError(ValueError):
    """A decision problem that cannot be meant.

    The message says what was asked and what to change.
    """


class EmptySetError(ValueError):
    """Bounds, budgets and ramps contradict one another before any model is asked.

    Attributes:
        kind: "bounds" (with ramps) or "budgets".
        places: (cell,) whose bounds cross, or (layer, row) of budgets that the lower bounds
            overspend.
        excess: by how much, per budget; unit of the budget.
    """

    def __init__(
        self, kind: str, places: tuple[tuple[int, ...], ...], excess: tuple[float, ...]
    ) -> None:
        self.kind = kind
        self.places = places
        self.excess = excess
        super().__init__(f"the {kind} contradict one another at {places}, by {excess}")


class NonFiniteError(ArithmeticError):
    """The model returned a value or a gradient that is not a finite number.

    Attributes:
        what: "objective", "outcome" or "gradient".
        cells: first offending cells (gradient) or rows (outcome).
        total: how many there are.
        point: (cells,) decisions at which it happened.
    """

    def __init__(
        self, what: str, cells: tuple[int, ...], total: int, point: Tensor | None = None
    ) -> None:
        self.what = what
        self.point = point
        self.cells = cells
        self.total = total
        shown = f" at {total} place(s), first: {', '.join(map(str, cells))}" if cells else ""
        super().__init__(f"the {what} is not finite{shown}")
