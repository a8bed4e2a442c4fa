"""A floor that is too low shows as an import that fails, and is named with what is declared."""

import importlib
import importlib.metadata
import sys

import pytest

from dagcast_testing import lacking
from dagcast_testing._problems import unimported

CORE = importlib.metadata.version("dagcast-core")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `mine_of_rain` of the distribution `mine`, which holds ``source``."""
    info = tmp_path / "mine-0.3.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: mine\nVersion: 0.3.0\nRequires-Dist: dagcast-core >=0.1\n"
    )
    info.joinpath("entry_points.txt").write_text("[dagcast.models]\nmine = mine_of_rain.plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "mine_of_rain"
    folder.mkdir()
    folder.joinpath("__init__.py").write_text("")

    def raised(source):
        folder.joinpath("model.py").write_text(source)
        importlib.invalidate_caches()
        for name in ("mine_of_rain", "mine_of_rain.model"):
            sys.modules.pop(name, None)
        with pytest.raises((ImportError, AttributeError)) as caught:
            importlib.import_module("mine_of_rain.model")
        return caught.value

    return raised


@pytest.mark.parametrize(
    "source",
    [
        "from dagcast_core.contract import Tide\n",
        "import dagcast_core.Tide\n",
        "import dagcast_core.contract\nT = dagcast_core.contract.Tide\n",
    ],
)
def test_what_another_version_would_have_is_one_line_with_range_and_version(package, source):
    text = str(unimported(package(source)))
    assert text.startswith("DC201 [<- mine] import of 'mine_of_rain': expected a module that")
    assert f"at model.py:{source.count(chr(10))}; dagcast-core {CORE} is installed" in text
    assert "dagcast-core >=0.1 is declared. fix: raise the floor of dagcast-core to the" in text
    assert "first version that has 'Tide' and install that, or do without it" in text


def test_what_is_not_declared_at_all_is_said_to_be_so(package):
    lack = lacking(package("from pytest import tide\n"), "mine_of_rain")
    assert lack.found("mine").endswith("is installed, no pytest is declared")


@pytest.mark.parametrize(
    "source",
    [
        "import no_such_package\n",
        "from mine_of_rain import tide\n",
        "raise ImportError('of its own')\n",
        "''.tide\n",
    ],
)
def test_whatever_else_fails_is_no_matter_of_versions(package, source):
    assert unimported(package(source)) is None
