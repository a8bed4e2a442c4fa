"""Every figure that is promised on real data: target, measured, held or missed.

Run as `nox -s real`, or alone with the folder of public records in $DAGCAST_REAL_DATA. Exits 1 if
a target is missed. What stands for what, where records lack what the models read, is said in the
modules that measure.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from _laguardia import LaGuardia, eta_errors, naive_elasticities, price_errors
from _published import EBAY, congestion_effect, ebay_effect
from _records import RECORDS
from _uber_2012 import rides_of_drivers

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))
from _harness import Row, limit, report  # noqa: E402

MARGIN = 1.03


def laguardia(data: Path) -> list[Row]:
    """Measure the price and the ETA of LaGuardia."""
    with tempfile.TemporaryDirectory() as folder:
        source = LaGuardia.read(folder, data)
        raw, adjusted = naive_elasticities(source.happened())
        price = price_errors(source)
        eta = eta_errors(source)
    naive = "LaGuardia: naive elasticity of trips to price"
    worse = "LaGuardia: MASE of trips, calibrated over"
    return [
        _near(f"{naive}, raw", raw.value, 4.7, 0.05, beside={"SE": f"{raw.error:.2f}"}),
        _near(
            f"{naive}, with hour of week and month",
            adjusted.value, 1.5, 0.05, beside={"SE": f"{adjusted.error:.2f}"},
        ),
        _below("LaGuardia: elasticity of the calibrated model", price.elasticity, 0.0),
        limit(f"{worse} the same with the naive sign", price.calibrated / price.naive,
              at_most=MARGIN, beside=_mase(price.calibrated, price.naive)),
        limit(f"{worse} the same without the experiment", price.calibrated / price.uncalibrated,
              at_most=MARGIN, beside=_mase(price.calibrated, price.uncalibrated)),
        limit(f"{worse} 4-week mean", price.calibrated / price.four_week_mean,
              beside=_mase(price.calibrated, price.four_week_mean)),
        limit(f"{worse} naive sign, both told the price", price.told_calibrated / price.told_naive,
              beside=_mase(price.told_calibrated, price.told_naive)),
        limit("LaGuardia: MASE of ETA given trips and hour of week", eta.model, at_most=0.70,
              beside=_mase(eta.model, eta.log_linear)),
        limit("the same, scaled by busy hours alone", eta.model_strict,
              beside=_mase(eta.model_strict, eta.log_linear_strict)),
    ]  # fmt: skip


def uber_2012(data: Path) -> list[Row]:
    """Measure what drivers do for rides."""
    with tempfile.TemporaryDirectory() as folder:
        found = rides_of_drivers(folder, data)
    observed = "observed"
    return [
        limit("Uber 2012: hours in which modelled rides exceed requests", found.exceeding,
              at_most=0, beside={"of": str(found.hours)}),
        _above("Uber 2012: least effect of a driver on rides per request", found.least, 0.0),
        limit("Uber 2012: rides per request, the fifth with fewest drivers", found.scarce_model,
              beside={observed: f"{found.scarce:.3g}"}),
        limit("Uber 2012: rides per request, other hours", found.ample_model,
              beside={observed: f"{found.ample:.3g}"}),
    ]  # fmt: skip


def published(data: Path) -> list[Row]:
    """Compute published estimates again."""
    effect, error = ebay_effect(data)
    fee, theirs = congestion_effect(data)
    return [
        _near("eBay: log effect of paid search off", effect, EBAY[0], 5e-5),
        _near("eBay: its standard error", error, EBAY[1], 5e-5),
        _near("Congestion fee: difference in differences", fee, theirs, 1e-9),
    ]


def _mase(ours: float, other: float) -> dict[str, str]:
    return {"ours": f"{ours:.3f}", "beside": f"{other:.3f}"}


def _near(
    case: str, measured: float, target: float, within: float, beside: dict[str, str] | None = None
) -> Row:
    held = abs(measured - target) <= within
    shown = f"{measured:.4f}" if within > 1e-8 else f"{measured:.10f}"
    return Row(case, f"{target:.6g} +- {within:g}", shown, held, beside or {})


def _below(case: str, measured: float, bound: float) -> Row:
    return Row(case, f"< {bound:g}", f"{measured:.3f}", measured < bound)


def _above(case: str, measured: float, bound: float) -> Row:
    return Row(case, f"> {bound:g}", f"{measured:.3g}", measured > bound)


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed, 2 without data."""
    if not RECORDS.is_dir():
        print(f"no folder {RECORDS}; name it in DAGCAST_REAL_DATA", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    return report("Real data", [*laguardia(RECORDS), *uber_2012(RECORDS), *published(RECORDS)])


if __name__ == "__main__":
    sys.exit(main())
