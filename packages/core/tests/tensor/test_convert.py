"""To pandas, xarray and Arrow, and back."""

import pandas as pd
import pytest
from tensor_cases import REGIONS

from dagcast_core.tensor import AlignmentError, IndexTensor


def test_conversions_come_back_unchanged(rides):
    for again in (
        IndexTensor.from_series(rides.to_series()),
        IndexTensor.from_frame(rides.to_frame(), ("region", "hour"), "rides"),
        IndexTensor.from_long(rides.to_long(), ["region", "hour"]),
        IndexTensor.from_arrow(rides.to_arrow(), ["region", "hour"], "rides"),
        IndexTensor.from_xarray(rides.to_xarray()),
        IndexTensor.from_numpy(rides.numpy(), rides.indexes, "rides"),
    ):
        assert again.layout is rides.layout
        assert again.name == "rides"
        assert again.tolist() == rides.tolist()


def test_long_tables_may_be_shuffled_but_not_incomplete_or_double(rides):
    table = rides.to_long().sample(frac=1.0, random_state=1)
    again = IndexTensor.from_long(table, ["region", "hour"], labels={"region": REGIONS})
    assert again.layout is rides.layout
    assert again.tolist() == rides.tolist()
    with pytest.raises(AlignmentError, match=r"1 of 18 cells have no row.*fill="):
        IndexTensor.from_long(table.iloc[1:], ["region", "hour"])
    with pytest.raises(AlignmentError, match=r"1 cells occur more than once"):
        IndexTensor.from_long(pd.concat([table, table.iloc[:1]]), ["region", "hour"])
    filled = IndexTensor.from_long(table.iloc[1:], ["region", "hour"], fill=float("nan"))
    assert filled.count().item() == 17
    fewer = IndexTensor.from_long(table, ["region", "hour"], labels={"region": ["SEA"]})
    assert fewer.tolist() == [rides.tolist()[2]]
    with pytest.raises(AlignmentError, match="no columns"):
        IndexTensor.from_long(table, ["zone", "hour"], "rides")
