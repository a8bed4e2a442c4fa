"""From settings and a fitted model to a decision problem."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.errors import ConfigError
from dagcast.plans import Axes, LeverBounds, Limits, OutcomeBound, resolve_limits
from dagcast.workflow.common._horizon import Moments, filled, known_metrics, read_context
from dagcast.workflow.common._reference import reference_weeks
from dagcast.workflow.common._session import Session
from dagcast.workflow.common._shown import shown_quantities
from dagcast.workflow.common._tested import Doses, doses_of

if TYPE_CHECKING:
    from dagcast_core.contract import Quantity
    from dagcast_core.decide import DecisionProblem
    from dagcast_core.model import Model, ParameterDraws, Residual
    from dagcast_core.tensor import IndexTensor, Panel


@final
@dataclass(frozen=True)
class Setting:
    """Everything about a round's decision but the model.

    Attributes:
        session: the project's models and data.
        times: of the round.
        context: exogenous quantities over the horizon.
        assumed: those of them for which the usual hour of day stands in.
        current: levers as they would be if nobody changed anything: the last observed week again.
        limits: what a plan has to keep, as amounts.
        quantities: declarations by name.
        reference: first hour after the weeks that multiples of recent weeks refer to.
        doses: what trials and the past tested of the levers.
    """

    session: Session
    times: Moments
    context: "Panel"
    assumed: tuple[str, ...]
    current: "Panel"
    limits: Limits
    quantities: "Mapping[str, Quantity]" = field(repr=False)
    reference: pd.Timestamp
    doses: Doses = field(repr=False)

    def problem(
        self,
        model: "Model",
        *,
        draws: "ParameterDraws | None" = None,
        context: "Panel | None" = None,
        residuals: "Mapping[str, Residual] | None" = None,
    ) -> "DecisionProblem":
        """The decision problem through one model.

        Args:
            model: forecasts outcomes.
            draws: of its parameters; used where the settings weigh draws.
            context: another context, as for looking back.
            residuals: what the model did not foresee, as for looking back.
        """
        from dagcast_core.decide import DecisionProblem, Lever, Objective, Risk

        config = self.session.project.config
        weighed = draws if config.weighs_draws else None
        risk = config.risk
        return DecisionProblem(
            model=model,
            levers=tuple(Lever(item.lever, *self.bounds(item)) for item in self.limits.bounds),
            objective=Objective(dict(config.objective.weights), unit=config.objective.unit or None),
            constraints=self.constraints(weighed is not None),
            context=self.context if context is None else context,
            current=self.current,
            residuals=dict(residuals or {}),
            draws=weighed,
            risk=None
            if weighed is None
            else Risk("mean" if risk.measure == "none" else risk.measure, risk.tail),
        )

    @cached_property
    def axes(self) -> Axes:
        """Rows and hours of everything that is shown of the round."""
        shown = shown_quantities(self.session)
        return Axes.among(shown, self.context.assign(dict(self.current)))

    def bounds(self, item: LeverBounds) -> "tuple[float | IndexTensor, float | IndexTensor]":
        """Least and greatest value of a lever's cells."""
        if item.change is None:
            lower: float | IndexTensor = item.lower
            upper: float | IndexTensor = item.upper
        else:
            now = self.current[item.lever]
            lower, upper = now * (1.0 - item.change), now * (1.0 + item.change)
        if self.session.project.config.evidence.max_unmeasured_share is not None:
            upper = self.doses.within(self.current[item.lever], upper)
        return lower, upper

    def constraints(self, weighed: bool = False) -> tuple[Any, ...]:
        """Budgets, ramps and guardrails as the solver takes them, and those of the packages.

        Args:
            weighed: whether there are draws, which chances and fallback rules need.
        """
        from dagcast_core.decide import Budget, Fallback, Ramp

        budgets = tuple(
            Budget(
                item.levers,
                _amount(item.limits, item.by),
                by=item.by,
                where=dict(item.where),
                groups=item.groups,
            )
            for item in self.limits.budgets
        )
        ramps = tuple(
            Ramp(item.lever, item.limit, dim="hour", step=item.step) for item in self.limits.ramps
        )
        outcomes = tuple(_outcome(item, weighed) for item in self.limits.outcomes)
        rules = tuple(
            Fallback(lever, item.share, item.width, item.quantity or None, item.level)
            for lever, item in (self.limits.rules if weighed else ())
        )
        hooked = self.session.plugins.manager.hook.dagcast_constraints()
        shipped = tuple(item for items in hooked for item in items)
        untested = tuple(
            Budget(levers, limit, where=where)
            for levers, where, limit in self.doses.budgets_of_untested(
                self.limits.budgets, self.session.project.config.evidence.max_unmeasured_share
            )
        )
        return (*budgets, *untested, *ramps, *outcomes, *rules, *shipped)


def make_setting(
    session: Session, times: Moments | None = None, *, reference: pd.Timestamp | None = None
) -> Setting:
    """Read what the decision needs, and work out its limits.

    Args:
        session: the project's models and data.
        times: of the round; the present one by default.
        reference: first hour after the weeks that multiples of recent weeks refer to; as the
            settings and the log say by default.

    Raises:
        ConfigError: no lever is declared, or a limit is wrong.
        UsageError: a limit names a quantity that does not exist.
    """
    config = session.project.config
    if not config.levers:
        raise ConfigError(
            "a lever in dagcast.toml, as [levers.NAME] declares one",
            "none",
            f"Add one of {', '.join(session.external_names)}.",
        )
    if not config.objective.weights:
        raise ConfigError(
            "weights of the quantities to maximise in [objective] of dagcast.toml",
            "none",
            "Add them, as in weights = { QUANTITY = 1.0 }.",
        )
    _require_all_there(session)
    times = times or session.times
    context, assumed = read_context(
        session.store, times, session.exogenous_names, clocks=session.clocks
    )
    quantities = {quantity.name: quantity for quantity in session.quantities}
    wanted = [*config.levers]
    for rail in config.guardrails:
        wanted += [rail.quantity, rail.weight or rail.quantity]
    names = known_metrics(session.store, [name for name in wanted if name in quantities])
    recent, reference = reference_weeks(session, times, names, reference)
    limits = resolve_limits(config, recent, config.horizon.hours, quantities)
    current = _current(session, times, quantities, tuple(config.levers))
    doses = doses_of(session, times, quantities)
    return Setting(session, times, context, assumed, current, limits, quantities, reference, doses)


def forecast_setting(session: Session) -> Setting:
    """What a forecast needs: the setting of a plan, or one without levers and limits to plan by.

    Raises:
        ConfigError: a limit is wrong.
        UsageError: a limit names a quantity that does not exist.
    """
    config = session.project.config
    if config.levers and config.objective.weights and not session.aside:
        return make_setting(session)
    times = session.times
    context, assumed = read_context(
        session.store, times, session.exogenous_names, clocks=session.clocks
    )
    quantities = {quantity.name: quantity for quantity in session.quantities}
    held = known_metrics(session.store, list(config.levers))
    there = tuple(name for name in held if name in quantities)
    current = _current(session, times, quantities, there)
    none = Limits((), (), (), ())
    until = times.last + pd.Timedelta(hours=1)
    doses = Doses({}, "")
    return Setting(session, times, context, assumed, current, none, quantities, until, doses)


def _require_all_there(session: Session) -> None:
    """Refuse to plan for what nobody forecasts, or by a lever that nobody reads."""
    if not session.aside:
        return
    config = session.project.config
    read = {e.quantity.name for r in session.assembly.registrations for e in r.contract.inputs}
    asked = {name: "lever" for name in config.levers if name not in read}
    made = {q.name for q in session.quantities} | read
    asked |= {name: "objective" for name in config.objective.weights if name not in made}
    asked |= {
        name: "guardrail"
        for rail in config.guardrails
        for name in (rail.quantity, rail.weight or rail.quantity)
        if name not in made
    }
    if asked:
        named = ", ".join(f"{name} ({what})" for name, what in asked.items())
        raise ConfigError(
            "levers, objective and guardrails in dagcast.toml of which models take part",
            f"{named}, whose models stand aside for what the store lacks",
            f"`dagcast check --project {session.project.folder}` says what to declare; or take "
            f"them out of the settings.",
        )


def _current(
    session: Session,
    times: Moments,
    quantities: "Mapping[str, Quantity]",
    names: tuple[str, ...],
) -> "Panel":
    """The levers' last observed week, laid over the horizon as often as needed.

    Raises:
        ConfigError: the store does not hold a lever.
    """
    from dagcast_core.tensor import IndexTensor, Panel

    week = pd.Timedelta(weeks=1)
    absent = [name for name in names if name not in known_metrics(session.store, names)]
    if absent:
        raise ConfigError(
            f"past values of the lever {absent[0]!r} in the store",
            ", ".join(session.store.metrics()),
            "Ingest a table that holds it (zeros will do), or remove the lever.",
        )
    last = session.store.read(
        list(names),
        start=times.last - week + pd.Timedelta(hours=1),
        end=times.last,
        as_of=times.as_of,
    )
    tensors: list[IndexTensor] = []
    positions = [int((hour - times.start) / pd.Timedelta(hours=1)) % 168 for hour in times.hours]
    # Phase of the horizon's first hour within the observed week.
    offset = int((times.start - times.last - pd.Timedelta(hours=1)) / pd.Timedelta(hours=1)) % 168
    for name in names:
        tensor = filled(last[name], quantities[name])
        dims = (*(dim for dim in tensor.dims if dim != "hour"), "hour")
        values = tensor.values(*dims)
        chosen = values[..., [(position + offset) % 168 for position in positions]]
        indexes = {dim: tensor.index(dim) for dim in dims[:-1]}
        tensors.append(IndexTensor(chosen, {**indexes, "hour": times.hours}, name))
    return Panel(tensors)


def _amount(limits: Mapping[str, float], by: tuple[str, ...]) -> Any:
    return dict(limits) if by else limits[""]


def _outcome(item: OutcomeBound, weighed: bool) -> Any:
    from dagcast_core.contract import Weighted
    from dagcast_core.decide import OutcomeLimit

    return OutcomeLimit(
        item.quantity,
        item.sense,
        _amount(item.limits, item.by),
        by=item.by,
        reduce=Weighted(item.weight) if item.weight else item.reduce,
        unit=item.unit,
        chance=item.chance if weighed else None,
        cautious=item.cautious,
        groups=item.groups,
    )
