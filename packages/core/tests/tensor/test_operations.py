"""Selection, shapes, groups, conversion, storage and panels: what the property tests leave out."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.tensor import (
    AlignmentError,
    IndexTensor,
    LabelError,
    Panel,
    align,
    audit,
    concat,
    dot,
    hour_of_week,
    stack,
)

HOURS = pd.date_range("2024-01-01", periods=6, freq="h", tz="UTC")
REGIONS = ["SFO", "LAX", "SEA"]


@pytest.fixture
def rides():
    return IndexTensor(np.arange(18.0).reshape(3, 6), {"region": REGIONS, "hour": HOURS}, "rides")


class Region:
    """A dim declared as an object, as contracts do."""

    name = "region"


# Selection


def test_a_slice_of_times_needs_no_exact_ends(rides):
    got = rides.sel(hour=slice("2024-01-01T00:30Z", "2024-01-01T02:30Z"))
    assert got.index("hour").tolist() == list(HOURS[1:3])
    assert rides.sel(hour=slice(None, HOURS[1])).sizes["hour"] == 2
    assert rides.sel(hour=slice("2025-01-01T00:00Z", None)).sizes["hour"] == 0


def test_dims_may_be_objects(rides):
    assert rides.sel({Region: "SFO"}).dims == ("hour",)
    assert rides.sum(Region).dims == ("hour",)
    assert rides.index(Region).tolist() == REGIONS
    assert IndexTensor([1.0], {Region: ["SFO"]}).dims == ("region",)


def test_a_repeated_selection_is_the_same_and_differentiable(rides):
    leaf = rides.clone().requires_grad_()
    for _ in range(3):
        leaf.grad = None
        total = leaf.sel(region="LAX").sum() + leaf.sel(hour=slice(HOURS[0], HOURS[1])).sum()
        (total + leaf.sel(region=["SEA", "SFO"]).sum()).backward()
        expected = np.zeros((3, 6))
        expected[1] += 1
        expected[:, :2] += 1
        expected[[0, 2]] += 1
        np.testing.assert_array_equal(leaf.grad.numpy(), expected)


def test_masks_select_by_label(rides):
    mask = rides.sum("hour") > 20
    assert rides.sel(region=mask.isel(region=[2, 1, 0])).index("region").tolist() == ["LAX", "SEA"]
    assert rides.sel(region=np.array([True, False, True])).sizes["region"] == 2
    assert rides.sel(region=pd.Series([False, True, True], REGIONS)).sizes["region"] == 2
    with pytest.raises(AlignmentError, match="Use where"):
        rides.sel(region=rides > 3)
    with pytest.raises(AlignmentError):
        rides.sel(region=mask.sel(region=["SFO"]))


def test_parameters_are_gathered_by_local_hour_of_week(rides):
    zones = {"SFO": "America/Los_Angeles", "LAX": "America/Los_Angeles", "SEA": "UTC"}
    how = hour_of_week(HOURS, zones)
    base = IndexTensor(
        np.arange(3 * 168.0).reshape(3, 168), {"region": REGIONS[::-1], "hour_of_week": range(168)}
    ).requires_grad_()
    got = base.sel(hour_of_week=how)
    assert got.dims == ("region", "hour")
    for region in REGIONS:
        for hour in HOURS:
            label = how.sel(region=region, hour=hour).item()
            expected = base.sel(region=region, hour_of_week=label).item()
            assert got.sel(region=region, hour=hour).item() == expected
    got.sum().backward()
    assert base.grad.sum().item() == 18
    shared = base.sel(region="SFO").sel(hour_of_week=how)
    assert shared.dims == ("region", "hour")
    with_type = base.expand(kind=["a", "b"]).sel(hour_of_week=how)
    assert with_type.dims == ("region", "hour", "kind")
    torch.testing.assert_close(with_type.sel(kind="b").tensor, got.tensor)


def test_gathering_notices_changed_and_unknown_labels():
    base = IndexTensor([1.0, 2.0], {"kind": [5, 7]}, "base")
    by = IndexTensor(torch.tensor([5, 7, 5]), {"n": [1, 2, 3]}, "by")
    assert base.sel(kind=by).tolist() == [1.0, 2.0, 1.0]
    by.tensor[0] = 7
    assert base.sel(kind=by).tolist() == [2.0, 2.0, 1.0]
    by.tensor[1] = 6
    with pytest.raises(LabelError, match="1 of 3 values are no labels, such as 6"):
        base.sel(kind=by)
    offset = IndexTensor([1.0, 2.0], {"kind": [5, 6]})
    with pytest.raises(LabelError, match="such as 7"):
        offset.sel(kind=by)


# Shapes


def test_stack_and_unstack_undo_each_other(rides):
    cells = rides.stack(cell=("hour", "region"))
    assert cells.unstack("cell").layout is rides.transpose().layout
    torch.testing.assert_close(cells.unstack("cell").tensor, rides.transpose().tensor)
    with pytest.raises(AlignmentError, match="combinations do not occur"):
        cells.isel(cell=slice(1, None)).unstack("cell")
    filled = cells.isel(cell=slice(1, None)).unstack("cell", fill=-1.0)
    assert filled.sel(region="SFO", hour=HOURS[0]).item() == -1
    parts = rides.unbind("region")
    assert stack(parts, "region").layout is rides.layout
    assert stack(parts, "region").tolist() == rides.tolist()


def test_expansion_repeats_and_counts_every_copy_in_the_gradient(rides):
    level = IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS}).requires_grad_()
    level.expand_like(rides).sum().backward()
    assert level.grad.tolist() == [6.0] * 3
    assert level.expand_like(rides.transpose()).dims == ("hour", "region")
    assert level.expand(hour=HOURS).tensor.untyped_storage().nbytes() == 24
    with pytest.raises(AlignmentError):
        level.isel(region=[0]).expand_like(rides)


def test_concatenation_joins_the_other_dims(rides):
    first, second = rides.isel(hour=slice(0, 2)), rides.isel(hour=slice(2, 4), region=[2, 1])
    whole = concat([first, second.transpose()], "hour")
    assert whole.index("region").tolist() == ["LAX", "SEA"]
    torch.testing.assert_close(
        whole.tensor, rides.isel(hour=slice(0, 4)).sel(region=["LAX", "SEA"]).tensor
    )
    with pytest.raises(AlignmentError, match="dims differ"):
        concat([first, second.sum("region")], "hour")


def test_shifts_by_time_respect_gaps():
    a = IndexTensor([1.0, 2.0, 4.0], {"hour": HOURS[[0, 1, 3]]})
    assert a.shift(hour=1, fill=0.0).tolist() == [0.0, 1.0, 2.0]
    assert a.shift(hour=pd.Timedelta("1h"), fill=0.0).tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(TypeError, match="cannot hold NaN"):
        a.to(torch.int64).shift(hour=1)
    assert a.to(torch.int64).shift(hour=1, fill=0).dtype == torch.int64


# Groups


def test_groups_by_values_differ_between_regions(rides):
    how = IndexTensor(
        np.array([[0, 0, 1, 1, 2, 2], [2, 2, 1, 1, 0, 0], [0, 1, 0, 1, 0, 1]]),
        {"region": REGIONS, "hour": HOURS},
    )
    got = rides.groupby("hour", how.isel(region=[2, 0, 1]), into="slot", labels=[0, 1, 2])
    assert got.sum().sel(region="SFO").tolist() == [1.0, 5.0, 9.0]
    assert got.sum().sel(region="LAX").tolist() == [21.0, 17.0, 13.0]
    assert got.mean().sel(region="SEA").tolist()[:2] == [14.0, 15.0]
    assert np.isnan(got.mean().sel(region="SEA", slot=2).item())
    spread = rides.groupby("hour", how).transform(lambda group: group.sum())
    assert spread.layout is rides.layout
    assert spread.sel(region="SFO").tolist() == [1.0, 1.0, 5.0, 5.0, 9.0, 9.0]


def test_grouped_gradients_count_each_label_once(rides):
    leaf = rides.clone().requires_grad_()
    groups = leaf.groupby("hour", lambda hour: hour.hour // 4)
    (groups.sum() + groups.max() + groups.mean() * groups.std()).sum().backward()
    assert np.isfinite(leaf.grad.numpy()).all()
    assert torch.autograd.gradcheck(
        lambda t: rides.with_tensor(t).groupby("hour", lambda h: h.hour // 4).std().tensor,
        (rides.tensor.clone().requires_grad_(),),
    )


def test_groups_keep_the_order_of_first_appearance():
    a = IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS})
    assert a.groupby("region", {"SFO": "z", "LAX": "a", "SEA": "z"}).groups.tolist() == ["z", "a"]


# Whole-tensor functions


def test_torch_functions_take_labelled_tensors(rides):
    scaled = rides / 20 + 0.1
    for function in (torch.exp, torch.log, torch.erf, torch.special.ndtr, torch.sin, torch.sqrt):
        got = function(scaled)
        assert got.layout is rides.layout
        assert got.name == "rides"
        torch.testing.assert_close(got.tensor, function(scaled.tensor))
    part = scaled.isel(region=[2, 0])
    assert torch.maximum(scaled, part).layout is torch.add(scaled, part).layout
    assert torch.where(scaled > 0.5, scaled, 0.0).dims == rides.dims
    assert torch.sum(rides).item() == rides.sum().item()
    assert torch.nn.functional.softplus(rides).dims == rides.dims
    with pytest.raises(TypeError, match=r"name it, as in a\.sum\('hour'\)"):
        torch.sum(rides, dim=1)
    with pytest.raises(TypeError, match=r"cannot apply torch's matmul.*a\.values"):
        torch.matmul(rides, rides)


def test_whole_and_boolean_values_reduce_as_expected():
    a = IndexTensor(np.array([[1, 2], [3, 4]]), {"x": [0, 1], "y": [0, 1]})
    assert a.mean("x").tolist() == [2.0, 3.0]
    assert a.sum().item() == 10
    assert (a > 1).any("x").tolist() == [True, True]
    assert (a > 1).all().item() is False
    assert a.max("x", "y").item() == 4
    assert a.median().item() == 2.5
    assert a.prod().item() == 24
    assert a.idxmax("y").tolist() == [1, 1]
    for dims in ((), (["x", "y"],), ("x", "y"), (("y", "x"),)):
        assert a.mean(*dims).item() == a.mean(*dims).item() == 2.5


def test_sums_of_products_do_not_build_the_products():
    a = IndexTensor(torch.rand(3, 4, dtype=torch.float64), {"x": range(3), "y": range(4)})
    b = IndexTensor(torch.rand(4, 2, dtype=torch.float64), {"y": [3, 2, 1, 0], "z": range(2)})
    torch.testing.assert_close(dot(a, b).tensor, (a * b).sum("y").tensor)
    torch.testing.assert_close(dot(a, b, dims=["x", "z"]).tensor, (a * b).sum("x", "z").tensor)


def test_in_place_changes_keep_the_layout(rides):
    layout, tensor = rides.layout, rides.tensor
    level = IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS[::-1]})
    expected = (rides + level.reindex_like(rides)) * 2
    rides.add_(level).mul_(2.0)
    assert rides.layout is layout
    assert rides.tensor is tensor
    torch.testing.assert_close(rides.tensor, expected.tensor)
    with pytest.raises(AlignmentError, match="besides"):
        rides.add_(rides.expand(kind=[1]))
    before = rides
    rides += 1.0
    assert rides is not before


def test_dropping_is_audited_once_per_operation(rides):
    part = rides.isel(region=[0], hour=slice(0, 2))
    with audit() as dropped:
        rides.where(part > 0, 0.0)
        align(rides, part)
    assert [(d.dim, d.left, d.right) for d in dropped.drops] == [
        ("region", 2, 0), ("hour", 4, 0), ("region", 2, 0), ("hour", 4, 0),
    ]  # fmt: skip


# Other libraries and disk


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


LABELS = {
    "text": pd.Index(REGIONS),
    "objects": pd.Index(REGIONS, dtype=object),
    "times": HOURS[:3].as_unit("us"),
    "local": HOURS[:3].tz_convert("America/New_York"),
    "naive": HOURS[:3].tz_localize(None),
    "whole": pd.Index([3, 1, 2], dtype="int32"),
    "real": pd.Index([0.1, 0.2, 0.3]),
    "truth": pd.Index([True, False, True])[:3],
    "category": pd.CategoricalIndex(["b", "a", "b"], categories=["a", "b", "c"]),
    "tuple": pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("a", 3)], names=["x", "y"]),
    "none": pd.Index([], dtype="int64"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_saved_tensors_come_back_with_their_labels(tmp_path, kind):
    index = LABELS[kind]
    a = IndexTensor(np.arange(float(len(index))), {"n": index}, "a")
    a.save(tmp_path / "a")
    again = IndexTensor.load(tmp_path / "a")
    assert again.layout is a.layout
    assert again.tolist() == a.tolist()
    assert copy.deepcopy(a).layout is a.layout


def test_saved_folders_hold_no_code_and_a_known_format(tmp_path, rides):
    panel = Panel([rides, rides.sum("hour").named("daily"), rides.transpose().named("turned")])
    panel.save(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["labels-0.arrow", "labels-1.arrow", "tensors.json", "values.safetensors"]
    again = Panel.load(tmp_path)
    assert list(again) == list(panel)
    assert again["turned"].tolist() == panel["turned"].tolist()
    with pytest.raises(ValueError, match=r"it holds .* Use Panel.load"):
        IndexTensor.load(tmp_path)
    manifest = json.loads((tmp_path / "tensors.json").read_text())
    (tmp_path / "tensors.json").write_text(json.dumps({**manifest, "format": "other/9"}))
    with pytest.raises(ValueError, match="expected the format"):
        Panel.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        Panel.load(tmp_path / "nowhere")


def test_representations_show_what_matters(rides):
    assert repr(rides) == (
        "IndexTensor 'rides' (region: 3, hour: 6) float64 cpu\n"
        "  region  'SFO', 'LAX', 'SEA'\n"
        "  hour    2024-01-01 00:00:00+00:00, 2024-01-01 01:00:00+00:00 ... "
        "2024-01-01 05:00:00+00:00"
    )
    assert "requires_grad" in repr(rides.clone().detach().requires_grad_())
    assert "grad_fn=" in repr(rides.requires_grad_() * 2)
    assert "<th>region</th>" in rides.named("<b>")._repr_html_()
    assert "&lt;b&gt;" in rides.named("<b>")._repr_html_()


# Panels


def test_a_panel_is_immutable_and_may_differ_in_labels(rides):
    later = rides.isel(hour=slice(2, 6)).named("eta")
    panel = Panel([rides, later], level=IndexTensor([1.0], {"kind": ["x"]}))
    assert list(panel) == ["rides", "eta", "level"]
    cut = panel.sel(region=["LAX"]).between(HOURS[2], HOURS[3])
    assert cut["rides"].sizes == {"region": 1, "hour": 2}
    assert cut["level"] is not None
    assert panel["rides"].sizes == {"region": 3, "hour": 6}
    with pytest.raises(TypeError):
        panel["x"] = rides
    with pytest.raises(AlignmentError, match="members differ"):
        panel.index("hour")
    assert panel.align("hour").index("hour").equals(HOURS[2:].rename("hour"))
    assert set(panel.select("eta", "rides").align().to_frame().columns) == {"eta", "rides"}
    assert panel.assign(eta=later * 2)["eta"].name == "eta"


def test_panels_come_back_from_other_libraries(rides):
    panel = Panel([rides, (rides * 2).named("double")])
    for again in (
        Panel.from_pandas(panel.to_frame()),
        Panel.from_pandas(panel.to_pandas()),
        Panel.from_arrow(panel.to_arrow()),
        Panel.from_xarray(panel.to_xarray()),
        copy.copy(panel),
    ):
        assert list(again) == list(panel)
        assert again["double"].layout is rides.layout
        assert again["double"].tolist() == panel["double"].tolist()


def test_a_panel_answers_like_any_mapping(rides):
    panel = Panel([rides])
    assert panel.get("eta") is None
    assert "eta" not in panel
    assert list(panel.keys()) == ["rides"]
    with pytest.raises(KeyError, match="it holds"):
        panel["eta"]


def test_a_condition_may_lack_labels_under_a_left_join(rides):
    with align("left", fill=0.0):
        got = rides.where(rides.isel(region=[1]) > 0, -1.0)
    assert got.layout is rides.layout
    assert got.sel(region="SFO").tolist() == [-1.0] * 6
    assert got.sel(region="LAX").tolist() == rides.sel(region="LAX").tolist()
