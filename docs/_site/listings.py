"""The pages of all commands and of all settings, made from what declares them."""

import functools
import inspect
import json
import re
from typing import Any

import exits

# Done, failed, misused, interrupted: any command may be.
_EVERYWHERE = (0, 1, 2, 130)


@functools.cache
def commands_page() -> str:
    """Markdown of every command with its options, as ``--help`` says them."""
    import click

    from dagcast.cli import app
    from dagcast.errors import EXIT_CODES

    lines = [
        "# Commands",
        "",
        "A setting is taken from a flag, then a variable `DAGCAST_...`, then `dagcast.toml`, then",
        "its default.",
        "",
        "Every command may end with 0, 1, 2 and 130; at each stands which other codes it has.",
        "",
        "| exit code | says |",
        "|---|---|",
        *(f"| {code} | {said} |" for code, said in EXIT_CODES.items()),
    ]
    with click.Context(app, info_name="dagcast") as context:
        for name in app.list_commands(context):
            lines += _command(app.get_command(context, name), f"dagcast {name}", context, 2)
    return "\n".join(lines) + "\n"


def _command(command: Any, path: str, parent: Any, level: int) -> list[str]:
    import click

    from dagcast.errors import EXIT_CODES

    with click.Context(command, info_name=path.rpartition(" ")[2], parent=parent) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        # Tells click to leave the lines below as they are, and is no letter.
        text = re.sub(r" *\x08\n?", "", inspect.cleandoc(command.help or ""))
        lines = ["", f"{'#' * level} `{path}`", "", text, ""]
        examples = [line.strip() for line in (command.epilog or "").splitlines()[2:]]
        lines += ["```text", *(examples or [f"{path} {usage}"]), "```", ""]
        if examples:
            lines += [f"Usage: `{path} {usage}`.", ""]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                lines += _command(inner, f"{path} {name}", context, level + 1)
            return lines
        codes = [f"{code}, {EXIT_CODES[code]}" for code in exits.codes_of(command.callback)
                 if code not in _EVERYWHERE]  # fmt: skip
        if codes:
            lines += [f"May also end with {'; with '.join(codes)}.", ""]
        rows = [p.get_help_record(context) for p in command.get_params(context)]
        shown = [row for row in rows if row is not None]
        if shown:
            lines += ["| option | |", "|---|---|"]
            lines += [f"| {_code(row[0])} | {_cell(row[1])} |" for row in shown]
        return lines


def settings_page() -> str:
    """Markdown of every table of ``dagcast.toml`` with its keys and defaults."""
    from pydantic import BaseModel

    from dagcast.config import Config

    lines = [
        "# Settings",
        "",
        "What `dagcast.toml` may hold; `dagcast init` writes one with comments.",
    ]

    def table(title: str, model: type[BaseModel]) -> None:
        nonlocal lines
        text = inspect.cleandoc(model.__doc__ or "").replace("``", "`")
        lines += ["", f"## {title}", "", text, "", "| key | takes | default |", "|---|---|---|"]
        for key, field in model.model_fields.items():
            kind = re.sub(r"\b(typing|datetime|annotated_types)\.", "", _type(field.annotation))
            default = "" if field.is_required() else _default(field.default)
            lines.append(f"| `{key}` | {_cell(kind)} | {_cell(default)} |")

    table("Top level", Config)
    for key, field in Config.model_fields.items():
        model = _table_of(field.annotation)
        if model is not None:
            name = _type(field.annotation)
            many = name.startswith("tuple")
            title = (
                f"`[[{key}]]`" if many else f"`[{key}.NAME]`" if "dict" in name else f"`[{key}]`"
            )
            table(title, model)
    return "\n".join(lines) + "\n"


def _table_of(annotation: Any) -> Any:
    from typing import get_args

    from pydantic import BaseModel

    for part in (annotation, *get_args(annotation)):
        if inspect.isclass(part) and issubclass(part, BaseModel):
            return part
    return None


def _type(annotation: Any) -> str:
    text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
    text = re.sub(r"Annotated\[([\w.]+), .*?\](?=$|[ ,\]|])", r"\1", str(text))
    return text.replace("dagcast.config.", "").replace("NoneType", "None")


def _default(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(type(value), "model_fields"):
        return "see below"
    try:
        return f"`{json.dumps(value)}`" if value not in ((), {}, "") else "empty"
    except TypeError:
        return f"`{value}`"


def _code(text: str) -> str:
    # Backticks would show the backslash that keeps a bar in its cell, and what stands for a "<".
    plain = not set(text) & set("|<")
    return f"`{text}`" if plain else f"<code>{_cell(text)}</code>"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("<", "&lt;").replace("|", "&#124;")
