"""The how-to page runs as printed."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bring-your-own-events.md"


def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert "CAST(usd AS NUMERIC)" in names["store"].sql("tips", "bigquery")


def test_the_page_lists_the_columns_that_are_needed():
    from dagcast_marketplace import TABLES

    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE.read_text(encoding="utf-8"), re.M))
    for table in TABLES:
        listed = {part.split()[0] for part in re.split(r", (?![^(]*\))", rows[table.name])}
        assert listed == {column.name for column in table.columns}, table.name
