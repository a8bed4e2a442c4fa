"""Labelled parameters align by label, pool unseen labels and stay in their range."""

import copy

import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_core.model import Interval, LabelledParameter, ModelError
from dagcast_core.tensor import AlignmentError, IndexTensor

REGION = Dim("region")


def by_region(start, regions=("SFO", "LAX"), **options):
    return LabelledParameter([REGION], {"region": regions}, start, **options)


@pytest.mark.parametrize("transform", [None, "softplus", "exp", "sigmoid", Interval(-2.0, 3.0)])
def test_value_is_the_start(transform):
    parameter = by_region([0.3, 0.7], transform=transform)
    assert parameter.value().tolist() == pytest.approx([0.3, 0.7], abs=1e-12)


def test_softplus_start_survives_large_values():
    assert by_region([800.0, 1e-6], transform="softplus").value().tolist() == pytest.approx(
        [800.0, 1e-6], rel=1e-9
    )


@pytest.mark.parametrize(("transform", "start"), [("softplus", 0.0), ("sigmoid", 1.0), ("exp", -1)])
def test_start_outside_the_range_is_refused(transform, start):
    with pytest.raises(ModelError, match="strictly between"):
        by_region(start, transform=transform)


def test_unknown_transform_names_the_known_ones():
    with pytest.raises(ValueError, match="'softplus', 'exp', 'sigmoid'"):
        by_region(0.0, transform="square")


def test_operators_match_labels_not_positions():
    parameter = by_region([1.0, 10.0])
    data = IndexTensor([2.0, 3.0], {"region": ["LAX", "SFO"]}, "x")
    assert (parameter * data).tolist() == [20.0, 3.0]
    assert (data - parameter).tolist() == [-8.0, 2.0]
    assert (data / parameter).dims == ("region",)


def test_unseen_label_gets_the_mean_in_unconstrained_space():
    parameter = by_region([1.0, 4.0], transform="exp")
    like = IndexTensor([0.0, 0.0], {"region": ["SEA", "LAX"]}, "x")
    assert parameter.at(like).tolist() == pytest.approx([2.0, 4.0])


def test_gradient_of_an_unseen_label_reaches_all_trained_ones():
    parameter = by_region([1.0, 5.0])
    parameter.at(IndexTensor([0.0], {"region": ["SEA"]}, "x")).tensor.sum().backward()
    assert parameter.raw.grad.tolist() == [0.5, 0.5]


def test_without_pooling_an_unseen_label_is_an_error():
    parameter = by_region(1.0, pool=False)
    with pytest.raises(ModelError, match="no value for 1 labels along 'region': 'SEA'"):
        parameter.at(IndexTensor([0.0], {"region": ["SEA"]}, "x"))


def test_two_parameters_with_other_labels_do_not_meet_in_silence():
    with pytest.raises(AlignmentError):
        by_region(1.0, ("SFO", "LAX")) + by_region(1.0, ("SEA", "PDX"))


def test_select_gathers_by_values_and_pools_the_other_dims():
    parameter = LabelledParameter(
        [REGION, HOUR_OF_WEEK],
        {"region": ["SFO", "LAX"], "hour_of_week": [0, 1]},
        [[1.0, 2.0], [3.0, 4.0]],
    )
    hours = IndexTensor([[1, 0], [0, 0]], {"region": ["LAX", "SEA"], "hour": [7, 8]}, "how")
    assert parameter.sel(hour_of_week=hours).tolist() == [[4.0, 3.0], [2.0, 2.0]]


def test_scalar_parameter_multiplies_anything():
    parameter = LabelledParameter([], {}, 3.0)
    assert (parameter * IndexTensor([1.0, 2.0], {"hour": [0, 1]}, "x")).tolist() == [3.0, 6.0]


def test_assign_takes_labels_in_any_order():
    parameter = by_region(1.0, transform="exp")
    parameter.assign(IndexTensor([5.0, 7.0], {"region": ["LAX", "SFO"]}, "x"))
    assert parameter.value().tolist() == pytest.approx([7.0, 5.0])


def test_assign_of_other_dims_is_refused():
    with pytest.raises(ModelError, match="dims"):
        by_region(1.0).assign(IndexTensor([5.0], {"hour": [0]}, "x"))


def test_repeated_labels_are_refused():
    with pytest.raises(ModelError, match="'SFO' occurs twice"):
        by_region(1.0, ("SFO", "SFO"))


def test_start_of_a_wrong_shape_is_refused():
    with pytest.raises(ModelError, match="shape"):
        by_region([1.0, 2.0, 3.0])


def test_copy_aligns_like_the_original():
    parameter = by_region([1.0, 10.0])
    data = IndexTensor([2.0, 3.0], {"region": ["LAX", "SFO"]}, "x")
    parameter.at(data)
    assert torch.equal((copy.deepcopy(parameter) * data).tensor, (parameter * data).tensor)
