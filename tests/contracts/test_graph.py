"""`dagcast graph`: the installed models, drawn to stdout and to nothing else."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from dagcast import workflow
from dagcast.cli import run


@pytest.fixture
def drawn(capsys):
    """Run the command without a project; returns what it printed."""

    def _drawn(*arguments):
        assert run(["graph", "--no-project", *arguments]) == 0
        return capsys.readouterr().out

    return _drawn


def test_every_form_names_every_model(drawn):
    """The same models and links, whatever the form."""
    links = json.loads(drawn("--json"))
    assert len(links["models"]) >= 5
    assert links["links"]
    text, mermaid, svg = drawn(), drawn("--as", "mermaid"), drawn("--as", "svg")
    for model in links["models"]:
        assert f"\n{model}\n" in text
        assert f'["{model}"]' in mermaid
        assert f">{model}</text>" in svg
    assert mermaid.count('|"') == len(links["links"])
    ElementTree.fromstring(svg)
    assert text.startswith("from outside: ")


def test_it_imports_no_torch():
    """A drawing is as fast as a check."""
    script = (
        "import sys; from dagcast.cli import run; run(['graph', '--no-project']);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_the_result_is_a_stage_of_the_workflow():
    """Notebooks get the same."""
    result = workflow.graph(None)
    assert result.exit_code() == 0
    assert "flowchart LR" in result.drawn("mermaid")
    assert [row[0] for row in result.tables()[0].rows] == result.to_json()["models"]
