"""What does not fit in memory lies where only its owner can read it, and not for ever."""

import os
import stat
import subprocess
import sys
import tempfile

import pytest

from dagcast_core.data._scratch import scratch_folder
from dagcast_core.data._source import _database, connect


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folder_is_private_and_its_own(temporary):
    before = os.umask(0)
    try:
        one, other = scratch_folder(), scratch_folder()
    finally:
        os.umask(before)
    assert one.parent.parent == temporary
    assert stat.S_IMODE(one.parent.stat().st_mode) == 0o700
    assert one != other
    assert not one.exists()


@pytest.mark.parametrize("kind", ["open to all", "a link", "a file"])
def test_what_somebody_else_put_there_is_not_used(temporary, kind):
    shared = temporary / f"dagcast-{os.getuid()}"
    if kind == "open to all":
        shared.mkdir()
        shared.chmod(0o777)
    elif kind == "a link":
        (temporary / "victim").mkdir(mode=0o700)
        shared.symlink_to(temporary / "victim")
    else:
        shared.touch()
    assert scratch_folder().parent == temporary


def test_what_a_killed_process_left_goes_with_the_next(temporary):
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    shared = temporary / f"dagcast-{os.getuid()}"
    shared.mkdir(mode=0o700)
    for name in (f"{int(ended.stdout)}-dead", f"{os.getpid()}-alive", "notes"):
        (shared / name).mkdir()
        (shared / name / "spill").touch()
    scratch_folder()
    assert sorted(path.name for path in shared.iterdir()) == [f"{os.getpid()}-alive", "notes"]


def test_no_folder_for_temporary_files_is_no_failure(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    assert scratch_folder().name.startswith(f"{os.getpid()}-")


def test_statements_fetch_nothing_from_elsewhere(temporary):
    _database.cache_clear()
    with connect() as connection:
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            row = connection.execute(f"SELECT current_setting('{name}')").fetchall()[0]
            assert row == (False,)
        with pytest.raises(Exception, match="httpfs|https"):
            connection.execute("SELECT * FROM 'https://localhost:1/a.parquet'")
    _database.cache_clear()
