"""Takes the pictures of README, tutorial and how-to from a project's own pages.

The project is the tutorial's: type its commands, then

    python tests/browser/pictures.py north

Look at what comes out before it is committed.
"""

import sys
from pathlib import Path

from conftest import CHROMIUM

DOCS = Path(__file__).parents[2] / "docs"
# Page, file, height of the window, what stands at its top, and the selection in the address.
PICTURES = (
    ("review", "tutorial/review.png", 940, None, ""),
    ("review", "how-to/review-map.png", 1400, "#desk", "#rows={row}"),
    ("retro", "tutorial/retro.png", 940, None, ""),
)
WIDTH = 1400


def main(project: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for kind, name, height, top, address in PICTURES:
            page = sorted((project / "reports").glob(f"{kind}-plan-*.html"))[0]
            tab = browser.new_page(
                viewport={"width": WIDTH, "height": height}, reduced_motion="reduce"
            )
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector(":root[data-ready]")
            if address:
                row = tab.evaluate("data.rows[0]")
                tab.evaluate(f"location.hash = {address.format(row=row)!r}")
            if top:
                tab.wait_for_timeout(200)
                tab.evaluate(f"document.querySelector('{top}').scrollIntoView()")
            # What is seen is drawn when it is seen.
            tab.wait_for_timeout(500)
            tab.screenshot(path=DOCS / name)
            tab.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
