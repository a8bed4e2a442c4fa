"""The public names of the package."""

import subprocess
import sys

import pytest

import dagcast_core


def test_every_public_name_can_be_imported():
    """The stub lists nothing that is not there."""
    assert len(dagcast_core.__all__) > 100
    for name in dagcast_core.__all__:
        assert getattr(dagcast_core, name) is not None


def test_contracts_and_hooks_import_neither_torch_nor_pandas():
    """A contract check of all packages takes well under a second."""
    script = (
        "import sys\n"
        "from dagcast_core import Contract, Quantity\n"
        "import dagcast_core.contract, dagcast_core.hooks, dagcast_core.dims\n"
        "print([name for name in ('torch', 'pandas', 'numpy') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"


def test_unknown_name_is_an_attribute_error():
    """As for any module."""
    with pytest.raises(AttributeError, match="IndexTenser"):
        dagcast_core.IndexTenser
