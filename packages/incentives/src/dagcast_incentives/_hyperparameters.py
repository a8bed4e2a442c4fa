"""What is believed of the response before anything was measured."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class IncentiveHyperparameters:
    """Priors of the response; ``range`` is where a search may look.

    Args:
        reply: driver hours that the first dollar adds in a typical hour.
        reply_spread: uncertainty of it, in logs.
        reach: largest addition by one type as a share of a region's typical driver hours.
        reach_spread: uncertainty of it, in logs.
        ceiling: largest addition by all types together, as such a share.
        ceiling_spread: uncertainty of it, in logs.
        wary: share of drivers who answer offers above a hurdle only.
        wary_spread: uncertainty of it, in log odds.
        hurdle: where that hurdle lies, in usual offers.
        hurdle_spread: uncertainty of it, in logs.
        habit: what stands behind the history's bonuses that nobody recorded, over what recorded
            demand does.
        full: by how much habits can have moved the room that the history shows, in logs.
        bend: share of wary drivers that the operator's habits can have made the history show, or
            hide.
        when_spread: how far parts of the day differ beyond the usual driver hours, in logs.
        region_spread: how far regions differ, in logs.
        type_spread: how far incentive types differ, in logs.
    """

    reply: float = field(default=0.35, metadata={"range": (0.05, 1.0), "unit": "driver-hour/USD"})
    reply_spread: float = field(default=0.8, metadata={"range": (0.1, 1.5), "unit": "1"})
    reach: float = field(default=0.35, metadata={"range": (0.05, 2.0), "unit": "1"})
    reach_spread: float = field(default=0.7, metadata={"range": (0.1, 1.5), "unit": "1"})
    ceiling: float = field(default=1.0, metadata={"range": (0.2, 3.0), "unit": "1"})
    ceiling_spread: float = field(default=0.7, metadata={"range": (0.1, 1.0), "unit": "1"})
    wary: float = field(default=0.03, metadata={"range": (0.001, 0.9), "unit": "1"})
    wary_spread: float = field(default=3.0, metadata={"range": (0.1, 4.0), "unit": "1"})
    hurdle: float = field(default=0.7, metadata={"range": (0.05, 5.0), "unit": "1"})
    hurdle_spread: float = field(default=0.7, metadata={"range": (0.1, 1.5), "unit": "1"})
    habit: float = field(default=0.5, metadata={"range": (0.1, 3.0), "unit": "1"})
    full: float = field(default=0.3, metadata={"range": (0.05, 2.0), "unit": "1"})
    bend: float = field(default=0.1, metadata={"range": (0.02, 1.0), "unit": "1"})
    when_spread: float = field(default=0.4, metadata={"range": (0.05, 1.0), "unit": "1"})
    region_spread: float = field(default=0.15, metadata={"range": (0.02, 0.6), "unit": "1"})
    type_spread: float = field(default=0.3, metadata={"range": (0.05, 1.0), "unit": "1"})


__all__ = ["IncentiveHyperparameters"]
