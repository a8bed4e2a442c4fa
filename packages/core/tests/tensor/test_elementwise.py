"""Functions computed value by value."""

from dagcast_core.tensor import align


def test_a_condition_may_lack_labels_under_a_left_join(rides):
    with align("left", fill=0.0):
        got = rides.where(rides.isel(region=[1]) > 0, -1.0)
    assert got.layout is rides.layout
    assert got.sel(region="SFO").tolist() == [-1.0] * 6
    assert got.sel(region="LAX").tolist() == rides.sel(region="LAX").tolist()
