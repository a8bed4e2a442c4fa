import tempfile
from pathlib import Path

from dagcast.access import find, grant, revoke, tokens
from dagcast.config import Config
from dagcast.project import create_project

with tempfile.TemporaryDirectory() as folder:
    north = create_project(Path(folder) / "north", Config())
    given = grant(north, "ben", days=30)  # shown once: what is kept is its digest
    found = find(north, given)
    assert found.who == "ben"
    revoke(north, found.key)
    assert find(north, given) is None
    assert tokens(north) == ()
