"""Interned axes are not mistaken for each other, and leave no trace."""

import gc

import numpy as np
import pandas as pd
from tensor_cases import along

from dagcast_core.tensor._index import _AXES, _SEEN
from dagcast_core.tensor._layout import _LAYOUTS


def test_an_index_whose_id_is_used_again_is_not_mistaken():
    for round_ in range(300):
        index = pd.Index([f"{round_}-{k}" for k in range(3)])
        assert along(index).index("n").tolist() == list(index)
        del index


def test_a_mutated_name_of_an_index_does_no_harm():
    index = pd.Index(["a", "b"], name="other")
    a = along(index)
    index.name = "changed"
    assert a.index("n").name == "n"
    assert along(index).layout is a.layout


def test_many_label_sets_leave_no_trace():
    def use(count):
        for number in range(count):
            a = along(pd.Index(np.arange(number, number + 3)))
            b = along(pd.Index(np.arange(number + 1, number + 4)))
            (a + b).sel(n=number + 1)

    use(1200)  # fills the bounded caches
    gc.collect()
    before = len(_AXES), len(_SEEN), len(_LAYOUTS)
    use(2500)
    gc.collect()
    after = len(_AXES), len(_SEEN), len(_LAYOUTS)
    # 2,500 rounds make 10,000 axes and layouts; what stays is what the bound lets in.
    assert all(now <= then + 1000 for now, then in zip(after, before, strict=True))
