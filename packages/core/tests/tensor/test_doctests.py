"""Every public function shows an example, and every example runs."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import dagcast_core.tensor

MODULES = [
    module.name
    for module in pkgutil.walk_packages(dagcast_core.tensor.__path__, "dagcast_core.tensor.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, raise_on_error=False).failed == 0


def _public():
    for name in dagcast_core.tensor.__all__:
        thing = getattr(dagcast_core.tensor, name)
        yield name, thing
        if inspect.isclass(thing):
            for attribute in dir(thing):
                member = inspect.getattr_static(thing, attribute)
                if isinstance(member, classmethod):
                    member = member.__func__
                owned = str(getattr(member, "__module__", "")).startswith("dagcast_core")
                if inspect.isfunction(member) and owned and not attribute.startswith("_"):
                    yield f"{name}.{attribute}", member


@pytest.mark.parametrize(("name", "thing"), list(_public()))
def test_public_functions_show_an_example(name, thing):
    if inspect.isclass(thing) and name in ("Audit", "Dropped"):
        pytest.skip("shown by audit()")
    assert ">>>" in (thing.__doc__ or ""), name
