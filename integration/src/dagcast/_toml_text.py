"""Additions to a TOML file that somebody wrote by hand: nothing else in it moves."""

import re


def with_item(text: str, table: str, key: str, item: str) -> str | None:
    """Add a text to the end of an array.

    Args:
        text: of the file.
        table: header of the array's table.
        key: of the array; one that is not there is added as the first of its table.
        item: to add.

    Returns:
        The new text; None where the file has no such table, or it ends within the array.
    """
    header = re.search(rf"^\[{re.escape(table)}\][ \t]*(#.*)?$", text, re.MULTILINE)
    if header is None:
        return None
    after = re.search(r"^\[", text[header.end() :], re.MULTILINE)
    end = header.end() + after.start() if after else len(text)
    found = re.compile(rf"^{re.escape(key)}[ \t]*=[ \t]*\[", re.MULTILINE).search(
        text, header.end(), end
    )
    if found is None:
        return f'{text[: header.end()]}\n{key} = [\n    "{item}",\n]{text[header.end() :]}'
    scanned = _closing(text, found.end())
    if scanned is None:
        return None
    close, last = scanned
    if last is not None and text[last] != ",":
        text, close = f"{text[: last + 1]},{text[last + 1 :]}", close + 1
    begin = text.rfind("\n", 0, close) + 1
    if text[begin:close].strip():
        return f'{text[:close]}\n    "{item}",\n{text[close:]}'
    return f'{text[:begin]}    "{item}",\n{text[begin:]}'


def with_line(text: str, table: str, line: str) -> str:
    """Add a line to the end of a table's keys; a table that is not there is added at the end."""
    lines = text.splitlines()
    heads = (i for i, held in enumerate(lines) if re.match(rf"\[{re.escape(table)}\]", held))
    start = next(heads, None)
    if start is None:
        lines += [*([""] if lines and lines[-1] else []), f"[{table}]", line]
    else:
        keys = range(start + 1, len(lines))
        lines.insert(next((i for i in keys if not _is_key(lines[i])), len(lines)), line)
    return "\n".join(lines) + "\n"


def _is_key(line: str) -> bool:
    return re.match(r"[\w.\"-]+[ \t]*=", line) is not None


def _closing(text: str, start: int) -> tuple[int, int | None] | None:
    """Where an array's bracket closes, and the last place within that is no space or comment."""
    token = re.compile(r"#.*|\"(?:\\.|[^\"\\])*\"|'[^']*'|\S")
    depth, last = 1, None
    for found in token.finditer(text, start):
        held = found.group()
        if held.startswith("#"):
            continue
        depth += {"[": 1, "]": -1}.get(held, 0)
        if not depth:
            return found.start(), last
        last = found.end() - 1
    return None
