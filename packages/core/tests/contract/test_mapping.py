"""The mapping of declarations is read-only."""

import pytest

from dagcast_core.contract import FrozenMapping


def test_frozen_mapping_cannot_be_changed():
    mapping = FrozenMapping({"a": 1})
    with pytest.raises(TypeError):
        mapping["a"] = 2
    assert mapping == {"a": 1}
    assert hash(mapping) == hash(FrozenMapping({"a": 1}))
