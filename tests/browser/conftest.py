"""One chromium for all tests, and pages of made-up plans in it.

Tests are skipped, with the reason, where no chromium or no playwright is installed: the driver
never downloads a browser of its own.
"""

import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from dagcast.review import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with api.sync_playwright() as driver:
        # The pages under test are ours, and root in a container has no sandbox.
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Opened:
    """A page in the browser, and everything that went wrong in it.

    Attributes:
        tab: playwright's page.
        wrong: console errors, exceptions, and requests that left the file.
        size: bytes of the file.
    """

    def __init__(self, tab, path: Path, address: str):
        self.tab, self.wrong, self.path = tab, [], path
        self.size = path.stat().st_size
        tab.on("console", self._said)
        tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        tab.on("request", self._asked)
        tab.add_init_script(
            "window.violations = []; addEventListener('securitypolicyviolation', "
            "(event) => violations.push(event.violatedDirective))"
        )
        tab.goto(path.as_uri() + address)
        tab.wait_for_selector(":root[data-ready]")

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _asked(self, request) -> None:
        if not request.url.startswith(("file:", "blob:")):
            self.wrong.append(request.url)

    def until(self, expression: str) -> None:
        """Wait for something to be true, without the evaluation that the page's policy forbids."""
        for _ in range(100):
            if self.tab.evaluate(f"Boolean({expression})"):
                return
            self.tab.wait_for_timeout(30)
        raise AssertionError(f"never true: {expression}")

    def text(self, selector: str) -> str:
        """What people read there, in one line."""
        return " ".join(self.tab.inner_text(selector).split())

    def chosen(self) -> dict:
        """The selection of the page."""
        return self.tab.evaluate("({ rows: choice.rows, from: choice.from, to: choice.to })")


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page: ``opened(page, "#rows=EWR", width=390, dark=True)``; nothing may go wrong."""
    made = defaultdict(list)

    def open_page(page, address="", *, width=1280, height=900, dark=False):
        path = tmp_path / f"page-{len(made['tabs'])}.html"
        if not made["page"] or made["page"][0] is not page:
            made["page"], made["text"] = [page], [render(page)]
        path.write_text(made["text"][0], encoding="utf-8")
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        found = Opened(context.new_page(), path, address)
        made["contexts"].append(context)
        made["tabs"].append(found)
        return found

    yield open_page
    for found in made["tabs"]:
        assert found.wrong == []
        assert found.tab.evaluate("violations") == []
    for context in made["contexts"]:
        context.close()
