"""Draw the models' curves, at their priors, as SVG files beside this one: ``python draw.py``.

Plain SVG text, because a chart of a few lines is no reason to depend on a plotting library here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dagcast_core import IndexTensor, Model, Panel
from dagcast_driver_hours import DriverHours, EarningsResponse
from dagcast_eta import eta_collection
from dagcast_incentives import IncentiveResponse
from dagcast_pricing import Conversion, QuoteAppeal
from dagcast_sessions import CouponSessions

FOLDER = Path(__file__).parent / "figures"
REGION = ("A",)
COLOURS = ("#2563a8", "#c2571a", "#3a8550", "#7b4fa3")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 150, 44, 52


def grid(values: Sequence[float]) -> pd.DatetimeIndex:
    """Hours that carry one value each along a curve; the clock plays no part in it."""
    return pd.date_range("2026-01-05T12:00", periods=len(values), freq="168h", tz="UTC")


def along(name: str, values: Sequence[float]) -> IndexTensor:
    """A quantity that runs through ``values``."""
    array = np.asarray(values, dtype=float)[None]
    return IndexTensor(array, {"region": REGION, "hour": grid(values)}, name)


def curve(model: Model, output: str, **inputs: Sequence[float]) -> list[float]:
    """The output of a model along its inputs, at noon on a Monday."""
    size = max(len(values) for values in inputs.values())
    quantities = {q: along(q, np.broadcast_to(v, size).tolist()) for q, v in inputs.items()}
    if "hour_of_week" in model.contract.input_names:
        quantities["hour_of_week"] = along("hour_of_week", [12.0] * size).to(torch.int64)
    with torch.no_grad():
        return model.predict(Panel(quantities))[output].numpy()[0].tolist()


def draw(
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
) -> None:
    """Write one line chart; every line is labelled at its end."""
    x_low, x_high = min(x), max(x)
    y_high = max(max(line) for line in lines.values()) * 1.05
    y_low = min(0.0, *(min(line) for line in lines.values()))

    def at(a: float, b: float) -> tuple[float, float]:
        across = LEFT + (a - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (b - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(up, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{title}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{x_label}</text>",
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{y_label}</text>",
    ]
    for tick in ticks(x_low, x_high):
        across, down = at(tick, y_low)
        parts.append(f'<path d="M{across} {TOP}V{down}" stroke="#eee"/>')
        parts.append(f'<text x="{across}" y="{down + 17}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks(y_low, y_high):
        across, down = at(x_low, tick)
        parts.append(f'<path d="M{across} {down}H{WIDTH - RIGHT}" stroke="#eee"/>')
        parts.append(f'<text x="{across - 7}" y="{down + 4}" text-anchor="end">{tick:g}</text>')
    lowest = HEIGHT
    # From the lowest line up, so that labels whose lines end together do not cover one another.
    ranked = sorted(lines.items(), key=lambda item: item[1][-1])
    for colour, (label, line) in zip(COLOURS, ranked, strict=False):
        points = " ".join(f"{a},{b}" for a, b in map(at, x, line))
        across, down = at(x[-1], line[-1])
        lowest = min(down + 4, lowest - 15)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{across + 6}" y="{lowest}" fill="{colour}">{label}</text>')
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")


def ticks(low: float, high: float) -> list[float]:
    """Five or so round numbers between two ends."""
    raw = (high - low) / 5
    power = 10 ** np.floor(np.log10(raw))
    step = power * min((s for s in (1, 2, 5, 10) if s * power >= raw), default=10)
    first = np.ceil(low / step) * step
    return [float(round(v, 10)) for v in np.arange(first, high + step / 1e6, step)]


def sessions() -> None:
    """Coupon response at three sizes of market."""
    model = CouponSessions(REGION)
    spend = np.linspace(0, 200, 80)
    lines = {
        f"{organic:g} organic/h": curve(
            model, "coupon_sessions", organic_sessions=[organic], coupon_spend=spend.tolist()
        )
        for organic in (150.0, 100.0, 50.0)
    }
    draw("sessions", "Sessions that coupons add", "coupon spend, USD/h", "session/h",
         spend.tolist(), lines)  # fmt: skip


def incentives() -> None:
    """Bonus response, summed over the hours after it."""
    model = IncentiveResponse(("boost", "guarantee"), REGION)
    hours = pd.date_range("2026-01-05T12:00", periods=12, freq="h", tz="UTC")
    clock = np.arange(12, 24)[None]
    calendar = IndexTensor(clock, {"region": REGION, "hour": hours}, "hour_of_week")
    dollars = np.linspace(0, 200, 60)

    def added(both: bool) -> list[float]:
        sums = []
        for usd in dollars:
            spend = np.zeros((2, 1, 12))
            spend[:, 0, 0] = usd / 2 if both else (usd, 0.0)
            labels = {"incentive": ("boost", "guarantee"), "region": REGION, "hour": hours}
            tensor = IndexTensor(spend, labels, "incentive_spend")
            with torch.no_grad():
                sums.append(model(tensor, calendar).sum().item())
        return sums

    lines = {"two types": added(True), "one type": added(False)}
    draw("incentives", "Driver hours that one hour of bonus adds to 50, net of rest", "spend, USD",
         "driver hours", dollars.tolist(), lines)  # fmt: skip


def driver_hours() -> None:
    """Three growth rates before and after the end of the history."""
    weeks = np.linspace(-6, 8, 141)
    hours = pd.date_range("2026-03-02", periods=141, freq="6h", tz="UTC")
    hours = hours[0] + pd.to_timedelta(np.round(weeks * 168), unit="h")
    lines = {}
    for growth in (0.05, 0.02, -0.02):
        model = DriverHours(REGION)
        model.anchor.fill_(pd.Timestamp("2026-03-02", tz="UTC").timestamp() / 3600)
        model.trend.assign(growth)
        how = IndexTensor(np.zeros((1, 141), dtype=np.int64), {"region": REGION, "hour": hours})
        panel = Panel({"hour_of_week": how, "holiday": how.double()})
        with torch.no_grad():
            lines[f"{100 * growth:+g} % a week"] = (
                model.predict(panel)["organic_driver_hours"].numpy()[0].tolist()
            )
    draw("driver-hours", "The trend runs out after the history", "weeks after its end",
         "driver-hour/h", weeks.tolist(), lines)  # fmt: skip


def earnings() -> None:
    """Driver hours along earnings, in the short and in the long run."""
    model = EarningsResponse()
    ratio = np.linspace(0.7, 1.3, 61)
    usual = np.ones(61).tolist()
    lines = {
        "passing": curve(
            model, "earnings_pull", earnings_swing=ratio.tolist(), earnings_level=usual
        ),
        "lasting": curve(
            model, "earnings_pull", earnings_swing=usual, earnings_level=ratio.tolist()
        ),
    }
    draw("earnings", "Organic hours by earnings per hour online", "earnings, 1 as usual",
         "hours, 1 as usual", ratio.tolist(), lines)  # fmt: skip


def eta() -> None:
    """ETA along driver hours at three levels of demand."""
    model = eta_collection(REGION)
    supply = np.linspace(4, 60, 150)
    lines = {
        f"{riders:g} sessions/h": curve(
            model, "eta", sessions=[riders], driver_hours=supply.tolist()
        )
        for riders in (100.0, 70.0, 40.0)
    }
    shown = {label: [min(v, 20.0) for v in line] for label, line in lines.items()}
    draw("eta", "ETA steepens as idle hours run out (cut at 20 min)", "driver hours per hour",
         "min", supply.tolist(), shown)  # fmt: skip


def pricing() -> None:
    """Conversion along ETA at three surcharges."""
    appeal, conversion = QuoteAppeal(REGION), Conversion(REGION)
    minutes = np.linspace(1, 15, 60)
    lines = {}
    for surcharge in (0.0, 0.5, 1.0):
        log_odds = curve(
            appeal,
            "quote_appeal",
            prime_time=[surcharge],
            eta=minutes.tolist(),
            base_fare=[15.0],
        )
        lines[f"prime time {surcharge:g}"] = curve(conversion, "conversion", quote_appeal=log_odds)
    draw("pricing", "Conversion falls with waiting and with prime time", "ETA, min",
         "ride/session", minutes.tolist(), lines)  # fmt: skip


def main() -> None:
    """Draw them all, by the models as they are."""
    for chart in (sessions, incentives, driver_hours, earnings, eta, pricing):
        chart()


if __name__ == "__main__":
    main()
