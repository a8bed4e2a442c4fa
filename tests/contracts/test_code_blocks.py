"""Every block of code in the documentation is run, or says why it is not.

A line ``<!-- not run: REASON -->`` before a block is the only way to leave one out.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?P<before>[^\n]*)\n(?:\n)?```(?P<kind>\w+)[^\n]*\n(?P<body>.*?)```", re.DOTALL
)
_REASON = re.compile(r"<!-- not run: (?P<why>\S+( \S+){2,}) -->")
# What is looked at, and what only shows something.
_SHOWN = {"text", "mermaid"}
# Who runs a page, and which kinds of its blocks.
RUN = {
    "README.md": ("tests/end_to_end/test_readme.py", "bash python"),
    "docs/tutorial/first-plan.md": ("tests/end_to_end/test_tutorial.py", "console python toml"),
    "docs/how-to/a-warehouse.md": ("tests/end_to_end/test_data_pages.py", "console python toml"),
    "docs/how-to/hourly-aggregates.md": ("tests/end_to_end/test_data_pages.py", "console csv toml"),
    "docs/how-to/messy-files.md": (
        *("tests/end_to_end/test_data_pages.py", "console csv python toml"),
    ),
    "docs/how-to/ask-a-plan.md": ("tests/end_to_end/test_ask_a_plan.py", "python"),
    "docs/how-to/bring-your-own-events.md": (
        *("tests/end_to_end/test_bring_your_own_events.py", "python"),
    ),
    "docs/how-to/bring-a-new-lever.md": ("tests/businesses/test_sixth_team.py", "bash python toml"),
    "docs/how-to/bring-another-business.md": (
        *("tests/businesses/test_another_business.py", "bash python toml"),
    ),
    "docs/how-to/decide-in-the-browser.md": ("tests/end_to_end/test_desk.py", "console toml"),
    "docs/how-to/design-a-switchback.md": ("tests/end_to_end/test_design.py", "console"),
    "docs/how-to/register-an-experiment.md": (
        *("tests/end_to_end/test_experiments.py", "console toml"),
    ),
    "docs/how-to/run-it-every-week.md": (
        *("tests/faults/test_week.py", "bash console ini json python toml yaml"),
    ),
    "docs/how-to/use-the-terminal.md": ("tests/end_to_end/test_tutorial.py", "bash console"),
    "docs/how-to/write-a-team-package.md": ("tests/contracts/test_worked_example.py", "python"),
}
READMES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("packages/*/README.md"))


def blocks_of(page):
    """Kind, body and reason of each block that is more than a picture."""
    for found in _BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
        reason = _REASON.search(found["before"])
        if found["kind"] not in _SHOWN:
            yield found["kind"], found["body"], reason and reason["why"]


def pages():
    found = ["README.md", "integration/README.md", "docs/index.md", *READMES]
    for folder in ("tutorial", "how-to", "design", "models"):
        found += sorted(
            p.relative_to(ROOT).as_posix() for p in (ROOT / "docs" / folder).glob("*.md")
        )
    return found


@pytest.mark.parametrize("page", pages())
def test_every_block_is_run_or_says_why_not(page):
    test, kinds = RUN.get(page, ("tests/contracts/test_code_blocks.py", "python"))
    ours = page in RUN or page in READMES
    if page in RUN:
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")
    left = [
        body.partition("\n")[0]
        for kind, body, reason in blocks_of(page)
        if reason is None and not (ours and kind in kinds.split())
    ]
    assert not left, f"{page}: run {left} in a test, or say why not: <!-- not run: REASON -->"


@pytest.mark.parametrize("page", READMES)
def test_readme_of_a_package_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for kind, body, reason in blocks_of(page):
        if kind == "python" and reason is None:
            exec(compile(body, page, "exec"), names)


def test_block_that_nobody_runs_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("Do:\n\n```bash\nrm -r .\n```\n")
    with pytest.raises(AssertionError, match=r"run \['rm -r \.'\] in a test, or say why not"):
        test_every_block_is_run_or_says_why_not("page.md")
    page.write_text("Do:\n\n<!-- not run: it removes all files -->\n```bash\nrm -r .\n```\n")
    test_every_block_is_run_or_says_why_not("page.md")
    page.write_text("Do:\n\n<!-- not run: no -->\n```bash\nrm -r .\n```\n")
    with pytest.raises(AssertionError, match="say why not"):
        test_every_block_is_run_or_says_why_not("page.md")
