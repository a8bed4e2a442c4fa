"""No package decides how a check ends: it is named, with what it did and where."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dagcast import trial
from dagcast.trial import load_tried, try_packages

GOOD = """
from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.hooks import hookimpl

@hookimpl
def dagcast_contracts():
    return [Contract("good", outputs=(Quantity("good", (Dim("region"), HOUR), "1"),))]

@hookimpl
def dagcast_models(labels):
    return []
"""
KINDS = {
    "exits": ("import os\nos._exit(0)", "exit code 0 at exits_plugin.py:2"),
    "hangs": ("import time\ntime.sleep(999)", "nothing after 6 s at hangs_plugin.py:2"),
    "segfaults": ("import ctypes\nctypes.string_at(0)", "SIGSEGV at segfaults_plugin.py:2"),
    "threads": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(999,)).start()",
        "which keeps the process from ending",
    ),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt at interrupts_plugin.py:1"),
    "prints": ("print('hello')", "6 bytes on standard output"),
    "patches": ("import json\njson.dumps = str", "json.dumps replaced"),
    "takes": ("a = []\nwhile True: a.append(bytearray(10**8))", "MemoryError"),
    "ends": ("import atexit, os\natexit.register(os._exit, 0)", "exit code 0"),
    "moves": ("import os\nos.chdir('/')", "a change of the current folder"),
    "forks": ("import os\nif os.fork(): os.wait()", "a copy of the process at forks_plugin.py:2"),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install distributions the way wheels leave them on disk."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}_plugin.py").write_text(textwrap.dedent(source))
            info = tmp_path / f"{name}-1.0.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
            (info / "entry_points.txt").write_text(f"[dagcast.models]\n{name} = {name}_plugin\n")
        return [str(tmp_path)]

    return put


def test_each_is_named_with_what_it_did_and_the_others_load(install):
    """All at once: one package ends the child, and the next child tries those that are left."""
    path = install(good=GOOD, **{name: source for name, (source, _) in KINDS.items()})
    found = try_packages(path=path, seconds=6, memory=1 << 30)
    assert set(found.refused) == set(KINDS)
    for name, (_, words) in KINDS.items():
        (line,) = [
            str(item) for item in found.problems if f"<- {name} ({name} 1.0.0)]" in str(item)
        ]
        assert line.startswith("DC215 ")
        assert words in line


def test_harmless_packages_are_loaded_and_nothing_is_said(install):
    path = install(good=GOOD)
    assert try_packages(path=path) == trial.Trial()


def test_who_did_harm_is_not_loaded_again(install, monkeypatch):
    install(exits=KINDS["exits"][0])
    found = load_tried()
    assert "DC215" in [item.code for item in found.problems]
    assert "exits_plugin" not in sys.modules
    assert found.disabled == ()
    assert load_tried(["exits"]).problems == ()


def test_child_ends_with_its_starter(tmp_path, install):
    """However that ends: nothing is left that loads, waits or writes."""
    install(
        hangs="import time, os\nopen(os.environ['TOLD'], 'w').write(str(os.getpid()))\n"
        "time.sleep(999)"
    )
    told = tmp_path / "told"
    code = f"""
        import os, sys, threading, time
        os.environ["TOLD"] = {str(told)!r}
        sys.path.insert(0, {str(tmp_path)!r})
        from dagcast.trial import try_packages
        threading.Thread(target=lambda: try_packages(path=[{str(tmp_path)!r}])).start()
        while not os.path.exists({str(told)!r}) or not open({str(told)!r}).read(): time.sleep(0.05)
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60)
    pid = told.read_text()
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
        except FileNotFoundError:
            break
        if state == "Z":
            break
        subprocess.run(["sleep", "0.05"], check=True)
    else:
        pytest.fail(f"process {pid} goes on")


def test_json_of_a_check_is_json_whatever_packages_print(tmp_path, install):
    """Also where they load without a child, and from the libraries below Python."""
    install(prints="import os\nprint('a')\nos.write(1, b'b')\nos.system('echo c')\n" + GOOD)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['graph', '--json', "
        f"'--no-project']; from dagcast.cli import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    json.loads(ran.stdout)
    assert {"a", "b", "c"} <= set(ran.stderr.replace("b", " b ").split())


def test_exit_code_is_the_command_s_own(tmp_path, install):
    install(
        threads="import threading, time\n"
        "threading.Thread(target=time.sleep, args=(99,)).start()\n" + GOOD
    )
    for words, code in ((["check", "--no-project"], 3), (["graph", "--no-project"], 0)):
        run = (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = {words!r}; "
            f"import dagcast.cli; dagcast.cli._PATIENCE = 0.1; dagcast.cli.main()"
        )
        ran = subprocess.run(
            [sys.executable, "-c", run], capture_output=True, check=False, timeout=60
        )
        assert ran.returncode == code, ran.stderr


COUNTED = (
    "import os, sys\n"
    "with open(os.environ['TOLD'], 'a') as file: file.write(f'{os.getpid()}\\n')\n"
    "print('a remark', file=sys.stderr)\n" + GOOD
)


@pytest.fixture
def in_a_process(tmp_path, install):
    """Run code where ``counted`` is installed, and say in which processes that was loaded."""

    def ran(code, **sources):
        install(counted=COUNTED, **sources)
        start = f"""
            import os, sys, threading, time
            sys.path.insert(0, {str(tmp_path)!r})
            from dagcast.trial import done_tried
            here = os.getpid()
            def names(plugins):
                return [plugin.name for plugin in plugins.plugins], len(plugins.problems)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(code)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "TOLD": str(tmp_path / "told")},
        )
        return done, (tmp_path / "told").read_text().split()

    return ran


def test_what_a_copy_makes_of_the_packages_is_made_of_them_once(in_a_process):
    done, loaded = in_a_process(
        """
        found, problems = done_tried(names)
        assert "counted" in found and problems == 0
        assert "counted_plugin" not in sys.modules
        print(here)
        """
    )
    assert len(loaded) == 1
    assert loaded != [done.stdout.strip()]
    assert done.stderr == "a remark\n"


def test_who_did_harm_takes_no_part_in_what_is_made(in_a_process):
    done, loaded = in_a_process(
        """
        found, problems = done_tried(names)
        assert "counted" in found and not {"prints", "patches", "exits"} & set(found)
        assert problems == 3
        """,
        **{name: KINDS[name][0] for name in ("prints", "patches", "exits")},
    )
    # Once for each package that ended a copy or changed it for others, and without all of them.
    assert len(loaded) == 4
    assert done.stderr == "a remark\n"


@pytest.mark.parametrize(
    "before",
    [
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        "import counted_plugin",
    ],
)
def test_where_no_copy_can_tell_the_work_is_done_here(in_a_process, before):
    done, loaded = in_a_process(
        f"""
        {before}
        found, problems = done_tried(names)
        assert "counted" in found and problems == 0
        assert "counted_plugin" in sys.modules
        print(here)
        """
    )
    # A child has tried it all the same.
    assert len(set(loaded)) == 2
    assert done.stdout.strip() in loaded


@pytest.mark.parametrize("fails", ["raise KeyError('a setting')", "os._exit(0)"])
def test_work_that_fails_in_the_copy_is_done_where_it_was_asked_for(in_a_process, fails):
    done, loaded = in_a_process(
        f"""
        def work(plugins):
            if os.getpid() != here:
                {fails}
            return names(plugins)
        found, problems = done_tried(work)
        assert "counted" in found and problems == 0
        print(here)
        """
    )
    assert len(loaded) == 2
    assert loaded[-1] == done.stdout.strip()
