import numpy as np
import pandas as pd

from dagcast.quality import findings

hours = pd.date_range("2026-01-05", periods=336, freq="h", tz="UTC")
orders = np.random.default_rng(0).poisson(20.0, (2, 336)).astype(float)
orders[:, 100:106] = 0.0  # everywhere at once: more like an outage than like six quiet hours
found = [item.what for item in findings("orders", orders, ["north", "south"], hours)]
assert any("an outage?" in text for text in found)
