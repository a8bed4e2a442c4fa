"""On what a plan's effects stand, in plain figures and words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from dagcast.figures import counted, currency, listed, symbol, words
from dagcast.plans._reading import Reading

Standing: TypeAlias = Literal["measured", "history", "prior"]
# A share of the money below which nothing is said of it.
_WORTH_SAYING = 0.005

# Share of the money without a trial above which a plan is not shown as good.
_MOST = 0.5


@final
@dataclass(frozen=True)
class EvidenceLine:
    """On what a plan stands at one lever and label.

    Attributes:
        lever: its name.
        label: of its further dims; empty where there is none.
        standing: on what most of its amount stands.
        amount: absolute sum over the cells, unit of the lever over the horizon.
        measured: part of it at doses that a fresh trial gave.
        history: part at doses that only the past shows.
        prior: part at doses that nobody ever saw.
        beyond: part above every measured dose, of labels that have a trial.
        elsewhere: part in rows where no such trial ran.
        trials: names of the fresh trials.
        stale: names of trials that are too old to count.
        dose: greatest dose of a cell that they gave; none without one.
        used: greatest dose of a cell in the past.
    """

    lever: str
    label: str
    standing: Standing
    amount: float
    measured: float
    history: float
    prior: float
    beyond: float
    elsewhere: float
    trials: tuple[str, ...]
    stale: tuple[str, ...]
    dose: float | None
    used: float


@final
@dataclass(frozen=True)
class Standings:
    """The lines of a plan, and what they come to.

    Attributes:
        lines: by lever and label.
        most_unmeasured: share of the money that may go unmeasured; None where nobody said.
        remarks: further warnings about the evidence, such as trials that disagree.
    """

    lines: tuple[EvidenceLine, ...] = ()
    most_unmeasured: float | None = None
    remarks: tuple[str, ...] = ()

    def counted(self, readings: Mapping[str, Reading]) -> tuple[EvidenceLine, ...]:
        """Lines of what is money, or of all levers where none is."""
        money = [line for line in self.lines if _money(readings[line.lever])]
        return tuple(money or self.lines)

    def share(self, standing: Standing, readings: Mapping[str, Reading]) -> float:
        """Share of the money that stands on something; of the labels where no money is spent."""
        lines = self.counted(readings)
        total = sum(line.amount for line in lines)
        if total <= 0:
            return sum(line.standing == standing for line in lines) / max(len(lines), 1)
        return sum(float(getattr(line, standing)) for line in lines) / total

    def part(self, name: str, readings: Mapping[str, Reading]) -> float:
        """Share of the money that is ``beyond`` measured doses, or ``elsewhere`` than trials."""
        lines = self.counted(readings)
        total = sum(line.amount for line in lines)
        return sum(float(getattr(line, name)) for line in lines) / total if total > 0 else 0.0

    def unmeasured(self, readings: Mapping[str, Reading]) -> float:
        """Share of the money that no fresh trial measured."""
        return 1.0 - self.share("measured", readings) if self.lines else 0.0

    def weak(self, readings: Mapping[str, Reading]) -> bool:
        """Whether most of the money stands on less than a trial, or some effect on nothing."""
        nothing = any(line.standing == "prior" for line in self.lines)
        return bool(self.exceeded(readings)) or nothing or self.unmeasured(readings) > _MOST

    def exceeded(self, readings: Mapping[str, Reading]) -> str:
        """That more goes unmeasured than may, in words; empty where it is within the limit."""
        found = self.unmeasured(readings)
        if self.most_unmeasured is None or found <= self.most_unmeasured + 1e-6:
            return ""
        return (
            f"{found:.1%} of the money goes where no fresh trial measured the effect, where "
            f"{self.most_unmeasured:.1%} is the most"
        )

    def words(self, readings: Mapping[str, Reading]) -> str:
        """One line: which share of the money stands on what."""
        if not self.lines:
            return ""
        of = "the money" if any(_money(readings[line.lever]) for line in self.lines) else "the plan"
        names: tuple[Standing, ...] = ("measured", "history", "prior")
        shares = {name: self.share(name, readings) for name in names}
        said = [f"{name} for {shares[name]:.0%}" for name in names if shares[name] > _WORTH_SAYING]
        return f"{listed(said)} of {of}"

    def warnings(self, readings: Mapping[str, Reading]) -> tuple[str, ...]:
        """What to know before any figure, the gravest first."""
        found = []
        if exceeded := self.exceeded(readings):
            found.append(exceeded)
        unknown = [line for line in self.lines if line.standing == "prior"]
        if unknown:
            named = listed(dict.fromkeys(_named(line, readings) for line in unknown))
            found.append(
                f"nobody has measured the effect of {named}, and the past does not show it: what "
                "the plan says of it is a prior"
            )
        past = [line for line in self.lines if line.standing == "history" and not line.trials]
        if past:
            named = listed(dict.fromkeys(_named(line, readings) for line in past))
            found.append(
                f"no fresh trial measured the effect of {named}: it is known from the past alone, "
                "if nothing moved with it that the models leave out"
            )
        beyond = [line for line in self.counted(readings) if line.beyond > 0]
        if beyond and (share := self.part("beyond", readings)) > _WORTH_SAYING:
            doses = listed(
                f"{_dose(line.dose, readings[line.lever].unit)} for {_named(line, readings)}"
                for line in beyond
                if line.dose is not None
            )
            found.append(
                f"{share:.0%} of the money is spent at doses above all that trials gave "
                f"({doses}): the effect there is extrapolated"
            )
        apart = self.part("elsewhere", readings)
        if apart > _WORTH_SAYING:
            found.append(
                f"{apart:.0%} of the money goes to places where no such trial ran: that they "
                "respond alike is assumed"
            )
        old = dict.fromkeys(name for line in self.lines for name in line.stale)
        if old:
            found.append(
                f"{counted(len(old), 'trial')} {'is' if len(old) == 1 else 'are'} too old to count "
                f"as measured: {listed(old)}"
            )
        return (*found, *self.remarks)


def evidence_rows(
    lines: Iterable[EvidenceLine], readings: Mapping[str, Reading]
) -> tuple[tuple[str, ...], ...]:
    """A table: what, its standing, and the shares of its amount by what they stand on."""
    found = []
    for line in lines:
        reading = readings[line.lever]
        shares = (
            f"{getattr(line, part) / line.amount:.0%}" if line.amount > 0 else ""
            for part in ("measured", "history", "prior", "beyond")
        )
        found.append(
            (
                f"{reading.title}: {line.label}" if line.label else reading.title,
                line.standing,
                reading.figure(line.amount) if reading.summed else "",
                *shares,
                listed(line.trials) if line.trials else "none",
            )
        )
    return tuple(found)


EVIDENCE_COLUMNS = (
    "effect of",
    "stands on",
    "amount",
    "measured",
    "history",
    "prior",
    "above tested doses",
    "fresh trials",
)
"""Heads of the table that `evidence_rows` fills."""


def _dose(value: float, unit: str) -> str:
    code = currency(unit)
    return f"{symbol(unit)}{value:g}{unit.removeprefix(code)}" if code else f"{value:g} {unit}"


def _money(reading: Reading) -> bool:
    return reading.summed and currency(reading.unit) is not None


def _named(line: EvidenceLine, readings: Mapping[str, Reading]) -> str:
    title = words(readings[line.lever].title)
    return f"{title} {line.label}" if line.label else title
