import tempfile
from pathlib import Path

from dagcast.exported import Exported
from dagcast.scaffold import new_repository

with tempfile.TemporaryDirectory() as folder:
    made = new_repository("wet-days", Path(folder), Exported((), frozenset()))
    assert (made.folder / "pyproject.toml").is_file()
    assert (made.folder / ".github" / "workflows" / "ci.yml").is_file()
