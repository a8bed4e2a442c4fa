"""The Python interface that the README shows."""

import subprocess
import sys

import dagcast


def test_every_public_name_can_be_imported():
    """The stub lists nothing that is not there."""
    assert {"open_project", "workflow", "ProjectError"} <= set(dagcast.__all__)
    for name in dagcast.__all__:
        assert getattr(dagcast, name) is not None


def test_public_names_import_without_torch():
    """Opening a project or asking for help does not wait for torch."""
    script = (
        "import sys; from dagcast import open_fit, open_project, workflow; workflow.simulate;"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "False"


def test_a_table_prints_as_aligned_text():
    """What `print(workflow.validate(project))` shows in a notebook."""
    table = dagcast.workflow.ResultTable(
        "Losses", ("model", "loss"), (("eta", "1.0"), ("sessions", "22.5")), "nats"
    )
    assert str(table).splitlines() == [
        "Losses",
        "model     loss",
        "eta       1.0",
        "sessions  22.5",
        "nats",
    ]
