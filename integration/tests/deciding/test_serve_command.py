"""`dagcast serve` as a process, and what it says where it cannot be one."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from dagcast.cli import _serve as command
from dagcast.cli import run


def start(project, *more):
    words = [sys.executable, "-m", "dagcast.cli", "serve", "--project", str(project.folder), *more]
    code = "import sys; from dagcast.cli import main; sys.argv = sys.argv[1:]; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "dagcast", *words[3:]], stderr=subprocess.PIPE, text=True
    )


def test_process_listens_on_loopback_signs_its_owner_in_and_ends_by_ctrl_c(market):
    process = start(market.project, "--port", "0")
    try:
        said = process.stderr.readline()
        address = re.search(r"(http://127\.0\.0\.1:\d+)/sign-in#(\S+)", said)
        assert address is not None, said
        # The line is printed when the socket listens; who connects waits for the application.
        asked = {"accept": "application/json"}
        request = urllib.request.Request(f"{address[1]}/", headers=asked)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 401
        refused.value.close()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        form = urllib.parse.urlencode({"token": address[2]}).encode()
        with opener.open(f"{address[1]}/sign-in", form, timeout=60) as page:
            assert "Needs you" in page.read().decode()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)
        process.stderr.close()


def test_taken_port_is_a_paragraph(market, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = run(["serve", "--project", str(market.project.folder), "--port", str(port)])
    assert code == 2
    assert f"a free address at 127.0.0.1:{port}" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("host", ["256.1.1.1", "nowhere.invalid"])
def test_other_hosts_are_asked_for_and_said(market, host, capsys):
    code = run(["serve", "--project", str(market.project.folder), "--host", host, "--port", "0"])
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert f"listening on {host}: whoever reaches this machine may try to sign in" in said


def test_without_the_extra_it_says_what_to_install(market, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "uvicorn" else real(name)
    )
    assert run(["serve", "--project", str(market.project.folder)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no uvicorn" in said
    assert 'python -m pip install "dagcast[app]"' in said


def test_other_commands_do_without_the_extra():
    """Nothing but `serve` imports what it needs."""
    code = (
        "import sys; from dagcast.cli import run; run(['--help']); run(['serve', '--help']);"
        "import dagcast.workflow.stages._decide, dagcast.access;"
        "print([n for n in ('starlette', 'uvicorn', 'multipart') if n in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_what_the_extra_needs_is_what_is_asked_for():
    import tomllib
    from pathlib import Path

    root = Path(__file__).parents[2]
    extra = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {re.split(r"[<>=]", text)[0].replace("-", "_") for text in extra["app"]}
    assert declared == set(command._NEEDED)
