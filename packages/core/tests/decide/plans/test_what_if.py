"""Given decisions, judged."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import DecisionError, Fixed, Ramp, what_if
from dagcast_core.tensor import Panel


def test_what_if_names_the_limits_that_are_broken(problem):
    spend = problem.context["spend"]
    judged = what_if(problem, Panel(spend=spend))
    assert judged.status == "infeasible"
    assert any("eta B" in line for line in judged.conflicts)
    lavish = spend.with_tensor(torch.full(tuple(spend.shape), 60.0).double())
    judged = what_if(problem, Panel(spend=lavish))
    assert any("sum of spend A <= 900 USD" in line for line in judged.conflicts)


def test_what_if_names_bounds_fixed_cells_and_ramps_by_the_worst_cell(problem):
    spend = problem.context["spend"]
    first = spend.isel(hour=slice(0, 1)).with_tensor(torch.full((2, 3, 1), 3.0).double())
    limited = replace(problem, constraints=[Fixed("spend", first), Ramp("spend", 5.0, step=1)])
    given = torch.full(tuple(spend.shape), 3.0).double()
    given[0, 0, 0] = 4.0
    given[1, 2, 7] = 70.0
    judged = what_if(limited, Panel(spend=spend.with_tensor(given)))
    assert judged.status == "infeasible"
    assert judged.conflicts == (
        "spend[boost, A, 2026-03-02 00:00] = 4 is set to 3",
        "spend[quest, C, 2026-03-02 07:00] = 70 may be 0 to 60",
        "spend[quest, C, 2026-03-02 06:00] and spend[quest, C, 2026-03-02 07:00] differ by 67, "
        "the ramp allows 5 (and 1 more pair)",
    )
    given[0, 0, 0], given[1, 2, 7] = 3.0, 8.0
    assert what_if(limited, Panel(spend=spend.with_tensor(given))).status == "feasible"


def test_decisions_without_a_number_are_refused(problem):
    spend = problem.context["spend"]
    hollow = spend.tensor.clone()
    hollow[0, 1, 2] = float("nan")
    with pytest.raises(DecisionError, match=r"no number at spend\[boost, B, 2026-03-02 02:00"):
        what_if(problem, Panel(spend=spend.with_tensor(hollow)))
