"""Tensors and panels on disk."""

import copy
import json
import os
import stat

import numpy as np
import pandas as pd
import pytest
from tensor_cases import HOURS, REGIONS

from dagcast_core.tensor import IndexTensor, Panel

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


def test_files_can_be_read_by_whom_the_umask_lets(tmp_path, rides):
    before = os.umask(0o027)
    try:
        rides.save(tmp_path / "a")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").iterdir()}
    assert set(modes.values()) == {0o640}, modes
