import tempfile
from pathlib import Path

from starlette.testclient import TestClient

from dagcast.config import Config
from dagcast.project import create_project
from dagcast.serve import Desk

with tempfile.TemporaryDirectory() as folder:
    north = create_project(Path(folder) / "north", Config(name="north"))
    desk = Desk(north.folder, {}, "ben")
    client = TestClient(desk.app(), base_url="http://127.0.0.1:8765")
    # Nobody is shown anything before they sign in.
    assert client.get("/", follow_redirects=False).headers["location"] == "/sign-in"
    client.post("/sign-in", data={"token": desk.identities.token})
    assert "You are ben" in client.get("/").text
