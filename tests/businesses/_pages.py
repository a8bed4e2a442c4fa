"""How-to pages whose code is that of the packages which tests here install, and their reports."""

import re
from pathlib import Path

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def code_blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    text = (HOW_TO / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def differing_blocks(page: str, folder: Path) -> list[str]:
    """First lines of those Python blocks that are no whole part of the file that they name.

    A block begins with a comment that names its file under ``folder``; ``# ...`` alone on a line
    leaves something out.
    """
    wrong = []
    for block in code_blocks(page, "python"):
        first, _, rest = block.partition("\n")
        path = folder / first.removeprefix("# ")
        source = path.read_text(encoding="utf-8") if path.is_file() else ""
        for part in re.split(r"^ *# \.\.\.\n", rest, flags=re.MULTILINE):
            if not part.strip() or part.strip("\n") not in source:
                wrong.append(first)
    return wrong


def visible_text(page: Path) -> str:
    """What people read of an HTML page, without its charts."""
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", text)
