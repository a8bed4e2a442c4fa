"""A project without any package is valid, empty, and says what to add."""

import importlib.metadata

import pytest

from dagcast import workflow
from dagcast.config import Config
from dagcast.errors import ProjectError
from dagcast.project import open_project


@pytest.fixture
def alone(monkeypatch):
    """Nothing is installed that registers anything."""
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: iter(()))


def test_init_without_packages_makes_an_empty_project_that_checks(alone, tmp_path):
    workflow.init(tmp_path / "p", name="mine")
    project = open_project(tmp_path / "p", environment={})
    assert project.config == Config(name="mine")
    text = (project.folder / "dagcast.toml").read_text(encoding="utf-8")
    assert "# [levers.QUANTITY]" in text
    assert "# weights = { QUANTITY = 1.0 }" in text
    result = workflow.check(project)
    assert (result.models, result.problems) == ((), ())


def test_ingest_without_packages_says_that_no_table_is_declared(alone, tmp_path):
    workflow.init(tmp_path / "p")
    project = open_project(tmp_path / "p", environment={})
    with pytest.raises(ProjectError, match="a table that an installed package declares"):
        workflow.ingest(project)
