import pandas as pd

from dagcast_core.evaluate import mase
from dagcast_core.tensor import IndexTensor


def series(values, start):
    hours = pd.date_range(start, periods=len(values), freq="h", tz="UTC")
    return IndexTensor([values], {"region": ["SFO"], "hour": hours}, "sessions")


train = series([1.0, 2.0, 3.0, 2.0, 3.0, 4.0], "2026-01-05 00:00")
actual = series([3.0, 4.0, 5.0], "2026-01-05 06:00")
forecast = series([3.0, 4.0, 4.5], "2026-01-05 06:00")
# Repeating the season of three hours errs by 1 in training; the forecast errs by 1/6.
assert round(mase(forecast, actual, train=train, season=3).tolist()[0], 3) == 0.167
