"""Packages that harm whoever loads them, each as an installed distribution of its own.

A new kind joins by a line in ``KINDS``: its name, and the source of its plugin module.
"""

import textwrap
from pathlib import Path

_HOOKS = """
from dagcast_core.hooks import hookimpl
from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR

@hookimpl
def dagcast_models(labels):
    return []

@hookimpl
def dagcast_contracts():
"""
_MADE = "    return [Contract('{name}', outputs=(Quantity('{name}', (Dim('region'), HOUR), '1'),))]"


def _in_hook(*lines: str) -> str:
    return _HOOKS + "".join(f"    {line}\n" for line in lines)


KINDS = {
    # They end the process,
    "exits": "import os; os._exit(0)",
    "exits-badly": "import os; os._exit(7)",
    "exits-in-a-hook": _in_hook("import os", "os._exit(0)"),
    "leaves": "import sys; sys.exit(0)",
    "leaves-in-a-hook": _in_hook("raise SystemExit(0)"),
    "segfaults": "import ctypes; ctypes.string_at(0)",
    "aborts": "import os; os.abort()",
    "kills": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "is-terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "loses-its-group": "import os, signal; os.killpg(os.getpgid(0), signal.SIGKILL)",
    # or keep it from ending,
    "hangs": "import time; time.sleep(10_000)",
    "loops": "while True: pass",
    "hangs-in-a-hook": _in_hook("import time", "time.sleep(10_000)"),
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(9_999,)).start()",
    "waits-for-input": "import os\nwhile True:\n    import time; time.sleep(1)",
    "takes-memory": "a = []\nwhile True: a.append(bytearray(50_000_000))",
    "exits-at-the-end": "import atexit, os; atexit.register(os._exit, 0)",
    "hangs-at-the-end": "import atexit, time; atexit.register(time.sleep, 9_999)",
    # raise what is no Exception, or what cannot be shown,
    "interrupts": "raise KeyboardInterrupt",
    "closes-generators": "raise GeneratorExit",
    "raises-its-own": "class Odd(BaseException): pass\nraise Odd('x')",
    "raises-silence": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd('x')"
    ),
    "recurses": "def f(): f()\nf()",
    "raises-a-group": "raise BaseExceptionGroup('a', [KeyboardInterrupt()])",
    # write where results are shown,
    "prints": "print('hello')",
    "writes": "import os; os.write(1, b'hello')",
    "lets-others-print": "import subprocess; subprocess.run(['echo', 'hello'])",
    "closes-stdout": "import os; os.close(1)",
    "takes-stdout": "import sys, io; sys.stdout = io.StringIO()",
    # change what others use,
    "patches-json": "import json\nreal = json.dumps\njson.dumps = lambda *a, **k: real('x')",
    "patches-exit": "import os; os._exit = lambda code: None",
    "patches-dagcast": "import dagcast_core.contract as c\nc.Problem.__str__ = lambda self: 'fine'",
    "patches-pluggy": "import pluggy\npluggy.PluginManager.register = lambda *a, **k: 'x'",
    "removes-a-function": "import hashlib\ndel hashlib.sha256",
    "goes-elsewhere": "import os; os.chdir('/')",
    "opens-all-files": "import os; os.umask(0)",
    "ignores-ctrl-c": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "forks": "import os\nif os.fork(): os.wait()",
    # or return what fails when it is looked at.
    "returns-a-trap": _in_hook(
        "class Trap(list):",
        "    def __iter__(self): raise RuntimeError('a trap')",
        "return Trap()",
    ),
    "lies-about-its-class": _in_hook(
        "class Liar:",
        "    @property",
        "    def __class__(self): raise RuntimeError('a lie')",
        "return [Liar()]",
    ),
}


def install(folder: Path, kinds: dict[str, str]) -> None:
    """Put distributions into a folder the way wheels leave them on disk."""
    for name, source in kinds.items():
        module = f"{name.replace('-', '_')}_plugin"
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = folder / f"{name.replace('-', '_')}-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        (info / "entry_points.txt").write_text(f"[dagcast.models]\n{name} = {module}\n")


def harmless(name: str) -> str:
    """The source of a package that only declares."""
    return _HOOKS + _MADE.format(name=name) + "\n"
