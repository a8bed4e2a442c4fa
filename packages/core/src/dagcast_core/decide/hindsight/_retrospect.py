"""Hindsight: the best plan, what it cost not to know it, and which sub-model did not.

What each model did not foresee is taken from what happened, given true inputs (abduction), and
carried over to other decisions. The *ex-post model* has all these residuals: at the executed
decisions it reproduces what happened. Judging every plan by it,

    regret = (ex-post objective of the ex-post plan) - (ex-post objective of what was executed)
           = execution gap (planned against executed) + caution + sum of the members' shares.

Caution is what it cost, or saved, that the plan weighed draws of the parameters, asked for chances
or left cells to rules, against a plan that took the forecast for granted.

A member's share is its Shapley value in the game whose coalitions know the future: v(S) is the
ex-post objective of the plan that is solved when the members of S have their residuals and the
others only forecast. It says where better forecasts would have paid.

Source: Shapley (1953), doi:10.1515/9781400881970-018; Pearl (2009), Causality, section 7.1
    (abduction).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled, compile_problem
from dagcast_core.decide.declare import DecisionProblem
from dagcast_core.decide.hindsight._judge import Judge
from dagcast_core.decide.hindsight._shapley import shapley_coefficients, shapley_values
from dagcast_core.decide.plans import Plan, solve, unless_interrupted
from dagcast_core.decide.run import search
from dagcast_core.model import ModelCollection, Residual
from dagcast_core.solver import DecisionError, Options, WarmStart
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["Retrospective", "Share", "retrospect"]

_DOING = "looking back"
EXOGENOUS = "forecast of inputs"


@final
@dataclass(frozen=True)
class Share:
    """What one member's errors cost.

    Attributes:
        member: a member of the collection, or the forecast of the inputs.
        value: part of the regret, objective unit; negative where its errors happened to help.
        standard_error: 0 where coalitions were all solved.
        words: the same in one sentence.
    """

    member: str
    value: float
    standard_error: float
    words: str


@final
@dataclass(frozen=True)
class Retrospective:
    """A plan in hindsight.

    Attributes:
        regret: what the ex-post plan would have added to the executed decisions, objective unit.
        share: regret as a share of the attainable gain (ex-post plan over spending least).
        attainable: ex-post objective of the ex-post plan over that of the least decisions.
        execution_gap: part of the regret because what was executed is not what was planned.
        attribution: the rest of the regret by member, largest first; sums to regret -
            execution_gap - caution.
        ex_post: the plan with the future known.
        planned: the plan from forecasts alone.
        violation: largest relative violation of an outcome limit by the executed decisions, ex
            post.
        priced: what that violation is worth at the ex-post shadow prices; it is part of the regret.
        decision_difference: ex-post minus executed decisions, by lever.
        forecast_difference: ex-post outcomes under the ex-post plan minus those under the executed
            decisions.
        forecast_error: what happened minus what was forecast for the executed decisions, by
            quantity.
        replay_error: largest relative difference between the ex-post model and what happened at the
            executed decisions; residuals bounded away from their range show here.
        unit: of the objective.
        solves: number of plans solved.
        relaxed: limits that no plan could keep ex post, and that were moved to what was executed.
        coalitions: ex-post objective of the plan by the members that knew the future.
        caution: part of the regret because the plan hedged against what is not known of the
            parameters; negative where that paid, 0 for problems without draws.
        regrets: of further decisions that were given, by their names; what breaks a limit ex post
            is priced as for the executed ones.
        ex_post_forecasts: what would have happened, by the ex-post model: under the ``executed``
            decisions, and under the further ones by their names.
        share_cells: each member's share cell by cell: what the objective's weighted quantities have
            more of. They add up to the share, but for the price of broken limits.
        execution_cells: the same of the execution gap.
        regret_cells: the same of the regret.
    """

    regret: float
    share: float
    attainable: float
    execution_gap: float
    attribution: tuple[Share, ...]
    ex_post: Plan
    planned: Plan
    violation: float
    priced: float
    decision_difference: Panel
    forecast_difference: Panel
    forecast_error: Panel
    replay_error: float
    unit: str
    solves: int
    relaxed: tuple[str, ...] = ()
    coalitions: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    caution: float = 0.0
    regrets: Mapping[str, float] = field(default_factory=dict)
    ex_post_forecasts: Mapping[str, Panel] = field(default_factory=dict)
    share_cells: Mapping[str, Panel] = field(default_factory=dict)
    execution_cells: Panel = field(default_factory=lambda: Panel({}))
    regret_cells: Panel = field(default_factory=lambda: Panel({}))


def retrospect(
    problem: DecisionProblem,
    executed: Panel,
    actuals: Panel,
    *,
    planned: Plan | None = None,
    members: Sequence[str] | None = None,
    options: Options | None = None,
    others: Mapping[str, Panel] | None = None,
    samples: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Retrospective:
    """Measure regret and attribute it.

    Args:
        problem: as it was solved, with the context that was forecast then.
        executed: the levers as they were carried out.
        actuals: what happened over the same labels: outcomes, and true inputs where they differ
            from the context.
        planned: the plan of ``problem``, if it is at hand; solved otherwise.
        members: names to attribute to; by default the collection's members.
        options: of every solve.
        others: further decisions to judge by the same ex-post model, such as the plan of another
            model.
        samples: permutations drawn where there are more than eight players.
        seed: of the permutations.
        progress: told how many plans are solved, and of how many at most, after each of them.

    Raises:
        DecisionError: the model is no collection, or nothing in ``actuals`` is observed.
        KeyboardInterrupt: interrupted; half a hindsight would be a wrong one.
    """
    model = problem.model
    if not isinstance(model, ModelCollection):
        raise DecisionError(
            "retrospect needs a ModelCollection, whose members regret is attributed to; "
            f"{model.contract.model} is a single model. Wrap it: ModelCollection([model])."
        )
    outputs = set(model.contract.output_names)
    if not outputs & set(actuals):
        raise DecisionError(
            f"nothing that {model.contract.model} forecasts is in the actuals: they hold "
            f"{', '.join(map(repr, list(actuals)[:6]))}."
        )
    options = options or Options(gap=1e-5)
    # Hindsight knows what happened, so it weighs no draws.
    asked, problem = problem, problem.certain()
    names = tuple(members if members is not None else model.members)
    levers = {lever.name for lever in problem.levers}
    compiled = compile_problem(problem)
    x_executed = compiled.space.flat(executed, "executed decisions")
    true_inputs = {
        name: actuals[name]
        for name in problem.context
        if name in actuals and name not in levers and name not in outputs
    }
    changed = {
        name: tensor
        for name, tensor in true_inputs.items()
        if _differs(tensor, problem.context[name])
    }
    truth = problem.context.assign(
        {name: _like(tensor, problem.context[name]) for name, tensor in changed.items()}
    )
    observed = truth.assign({**compiled.space.panel(x_executed)})
    observed = observed.assign({q: actuals[q] for q in outputs if q in actuals})
    residuals = dict(model.residuals(observed))
    players = (*names, EXOGENOUS) if changed else names
    owned = {name: set(model.outputs_of(name)) for name in names}

    ex_post_problem = replace(problem, context=truth, residuals=residuals)
    judge = compile_problem(ex_post_problem)
    ex_post = unless_interrupted(solve(ex_post_problem, planned, options=options), _DOING)
    relaxed: tuple[str, ...] = ()
    if ex_post.status == "infeasible":
        # Nobody could have kept these limits: hindsight has to keep them only as well as what was
        # done. Their multipliers, at the solver's cap, would be no price.
        with torch.no_grad():
            reached = judge.smooth.evaluate(x_executed)[1]
        constraints, relaxed = judge.outcomes.relaxed_to(problem.constraints, reached)
        problem = replace(problem, constraints=constraints)
        ex_post_problem = replace(ex_post_problem, constraints=constraints)
        judge = compile_problem(ex_post_problem, families=judge.smooth.rows.families)
        start = Panel(compiled.space.panel(x_executed))
        ex_post = unless_interrupted(solve(ex_post_problem, start, options=options), _DOING)
    value = Judge(judge, ex_post)
    if planned is None:
        hedged = replace(asked, constraints=problem.constraints) if relaxed else asked
        planned = unless_interrupted(solve(hedged, ex_post, options=options), _DOING)
    # A member that foresaw everything changes no coalition.
    silent = {name for name in names if not _matters(residuals, owned[name])}
    everyone = frozenset(players) - silent
    as_planned = value(judge.space.flat(planned.decisions))
    known = {everyone: value(judge.space.flat(ex_post.decisions))}
    # What each coalition would have decided, to share the regret out cell by cell.
    decided = {everyone: judge.space.flat(ex_post.decisions)}
    if asked.draws is None:
        known[frozenset()] = as_planned
        decided[frozenset()] = judge.space.flat(planned.decisions)
    x_best = judge.space.flat(ex_post.decisions)
    multipliers = torch.tensor(ex_post.multipliers, dtype=torch.float64)
    # Coalitions differ little from one another: each starts where hindsight ended, with the metric
    # of the one before, and stops without a certificate.
    warm = [WarmStart(x_best, multipliers)]
    rough = replace(options, gap=10.0 * options.gap, iterations=40)

    at_most = min(2 ** len(everyone), samples * len(players) + 1)

    def coalition(members_in: frozenset[str]) -> float:
        key = members_in - silent
        if key not in known:
            quantities = set().union(*(owned[name] for name in key if name in owned))
            part = replace(
                problem,
                context=truth if EXOGENOUS in key else problem.context,
                residuals={q: r for q, r in residuals.items() if q in quantities},
            )
            related = compile_problem(part, families=judge.smooth.rows.families)
            related = replace(related, smooth=replace(related.smooth, concave=False))
            solution, _, _ = search(related, warm[0], rough, patient=True)
            unless_interrupted(solution, _DOING)
            warm[0] = WarmStart(x_best, multipliers, solution.warm.metric)
            known[key] = value(solution.x)
            decided[key] = solution.x
            if progress is not None:
                progress(len(known), at_most)
        return known[key]

    best = coalition(frozenset(players))
    from_forecast = coalition(frozenset())
    happened = value(x_executed)
    least = value(judge.smooth.linear.lower)
    regrets = {
        name: best - value(judge.space.flat(given, f"the decisions {name!r}"))
        for name, given in (others or {}).items()
    }
    shares = shapley_values(players, coalition, samples=samples, seed=seed)
    counted = shapley_coefficients(players, samples=samples, seed=seed)
    shared = _shared(judge, value, counted, decided, silent)
    unit = compiled.goal.unit
    regret = best - happened
    attainable = best - least
    attribution = tuple(
        Share(name, amount, error, _words(name, amount, unit, regret))
        for name, (amount, error) in sorted(shares.items(), key=lambda item: -item[1][0])
    )
    with torch.no_grad():
        before = judge.forecaster.forecast(x_executed)
        after = judge.forecaster.forecast(judge.space.flat(ex_post.decisions))
        foreseen = compiled.forecaster.forecast(x_executed)
        otherwise = {
            name: judge.forecaster.forecast(judge.space.flat(given, f"the decisions {name!r}"))
            for name, given in (others or {}).items()
        }
    return Retrospective(
        regret=regret,
        share=regret / attainable if attainable > 0 else 0.0,
        attainable=attainable,
        execution_gap=as_planned - happened,
        caution=from_forecast - as_planned,
        attribution=attribution,
        ex_post=ex_post,
        planned=planned,
        violation=value.violation(x_executed),
        priced=value.price(x_executed),
        decision_difference=Panel(
            judge.space.panel(judge.space.flat(ex_post.decisions) - x_executed)
        ),
        forecast_difference=Panel({q: after[q] - before[q] for q in after}),
        forecast_error=Panel(
            {q: _minus(actuals[q], foreseen[q]) for q in foreseen if q in actuals}
        ),
        replay_error=max(
            (_mismatch(before[q], actuals[q]) for q in before if q in actuals), default=0.0
        ),
        unit=unit,
        solves=len(known),
        relaxed=relaxed,
        regrets=regrets,
        ex_post_forecasts={
            name: Panel(dict(found)) for name, found in {"executed": before, **otherwise}.items()
        },
        coalitions={tuple(sorted(names_in)): worth for names_in, worth in known.items()},
        share_cells=shared,
        execution_cells=_less(
            value.cells(judge.space.flat(planned.decisions)), value.cells(x_executed)
        ),
        regret_cells=_less(value.cells(x_best), value.cells(x_executed)),
    )


def _shared(
    judge: Compiled,
    value: Judge,
    counted: Mapping[str, Mapping[frozenset[str], float]],
    decided: Mapping[frozenset[str], Tensor],
    silent: AbstractSet[str],
) -> dict[str, Panel]:
    """Each player's share, cell by cell of what the objective is made of."""
    weights: dict[frozenset[str], dict[str, float]] = {}
    for player, coalitions in counted.items():
        for members, weight in coalitions.items():
            own = weights.setdefault(members - silent, {})
            own[player] = own.get(player, 0.0) + weight
    found: dict[str, dict[str, IndexTensor]] = {}
    for members, shares in weights.items():
        cells = value.cells(decided[members])
        for player, weight in shares.items():
            if weight == 0.0:
                continue
            own_cells = found.setdefault(player, {})
            for name, tensor in cells.items():
                part = tensor.with_tensor(weight * tensor.tensor)
                own_cells[name] = own_cells[name] + part if name in own_cells else part
    return {player: Panel(parts) for player, parts in found.items()}


def _less(one: Mapping[str, IndexTensor], other: Mapping[str, IndexTensor]) -> Panel:
    return Panel({name: tensor - other[name] for name, tensor in one.items()})


def _matters(residuals: Mapping[str, Residual], quantities: set[str]) -> bool:
    """Whether any residual of these quantities changes a prediction by more than rounding."""
    for name in quantities & set(residuals):
        residual = residuals[name]
        size = float(residual.shift.tensor.abs().max())
        if bool(((residual.ratio.tensor - 1.0).abs() > 1e-12).any()) or size > 1e-12:
            return True
    return False


def _differs(actual: IndexTensor, forecast: IndexTensor) -> bool:
    return not torch.equal(_like(actual, forecast).tensor, forecast.tensor)


def _like(actual: IndexTensor, forecast: IndexTensor) -> IndexTensor:
    """Actual values in the layout and dtype of the forecast, which fills what nobody observed."""
    wanted = {dim: forecast.index(dim) for dim in forecast.dims}
    values = actual.double().reindex(wanted, fill=float("nan")).values(*forecast.dims)
    own = forecast.tensor.double()
    return forecast.with_tensor(torch.where(torch.isfinite(values), values, own).to(forecast.dtype))


def _minus(actual: IndexTensor, forecast: IndexTensor) -> IndexTensor:
    wanted = {dim: forecast.index(dim) for dim in forecast.dims}
    values = actual.double().reindex(wanted, fill=float("nan")).values(*forecast.dims)
    return forecast.with_tensor(values - forecast.tensor)


def _mismatch(modelled: IndexTensor, actual: IndexTensor) -> float:
    difference = _minus(actual, modelled).tensor
    seen = torch.isfinite(difference)
    if not bool(seen.any()):
        return 0.0
    scale = float(modelled.tensor[seen].abs().mean().clamp(min=1e-12))
    return float(difference[seen].abs().max()) / scale


def _words(name: str, amount: float, unit: str, regret: float) -> str:
    share = f", {amount / regret:.0%} of the regret" if regret > 0 else ""
    if amount >= 0:
        return f"Errors of {name} cost {amount:.4g} {unit}{share}."
    return f"Errors of {name} happened to save {-amount:.4g} {unit}."
