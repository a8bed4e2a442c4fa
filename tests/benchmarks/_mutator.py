"""Random mutations of team code: what somebody gets wrong in a line that still runs.

Six kinds, each as likely as the others: a turned sign, a join with the trained labels, another
reduction, an output an hour late, a gradient that is cut, a number or a comparison off by one.
Only code that predicts or starts a model is changed; losses and optimisers change no prediction of
a given model.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Functions whose numbers a prediction does not show.
_OTHERS = {"loss_terms", "optimizer", "__getattr__", "__dir__"}
_FILES = {"plugin.py", "contract.py", "__init__.py"}
_REDUCTIONS = {
    "sum": "mean",
    "mean": "sum",
    "nanmean": "nanmedian",
    "nanmedian": "nanmax",
    "amax": "amin",
    "maximum": "minimum",
    "minimum": "maximum",
    "cumsum": "cumprod",
}
_TURNED = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_SHIFTED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_LATE = """
def _late(outputs, steps):
    if not hasattr(outputs, "with_tensor"):
        return {name: _late(output, steps) for name, output in outputs.items()}
    axis = outputs.dims.index("hour")
    return outputs.with_tensor(outputs.tensor.roll(steps, axis))
"""


@dataclass(frozen=True)
class Mutation:
    """One change of one file.

    Attributes:
        package: whose code is changed.
        file: relative to the package's ``src``.
        line: where.
        kind: of mistake.
        what: the code before and after.
        source: of the whole file, changed.
    """

    package: str
    file: str
    line: int
    kind: str
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.package} {Path(self.file).name}:{self.line} {self.kind}: {self.what}"


def mutations(folders: list[Path], count: int, seed: int) -> Iterator[Mutation]:
    """Draw different mutations of the packages in ``folders``, at most ``count``."""
    by_kind: dict[str, list[Mutation]] = {}
    for folder in folders:
        for path in sorted((folder / "src").rglob("*.py")):
            if path.name not in _FILES:
                name = str(path.relative_to(folder / "src"))
                for found in _of_file(folder.name, name, path.read_text()):
                    by_kind.setdefault(found.kind, []).append(found)
    chance = random.Random(seed)
    for found in by_kind.values():
        chance.shuffle(found)
    for _ in range(count):
        kinds = sorted(kind for kind, found in by_kind.items() if found)
        if not kinds:
            return
        yield by_kind[chance.choice(kinds)].pop()


def _of_file(package: str, name: str, text: str) -> Iterator[Mutation]:
    tree = ast.parse(text)
    for place, node in enumerate(ast.walk(tree)):
        for kind, variant in _variants(node):
            if not _within_a_model(tree, node):
                continue
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[place]
            replaced = variant(target)
            if replaced is not target:
                _Replace(target, replaced).visit(changed)
            source = ast.unparse(ast.fix_missing_locations(changed))
            if kind == "shift":
                source += _LATE
            what = f"{ast.unparse(node)} -> {ast.unparse(replaced)}"
            yield Mutation(package, name, node.lineno, kind, " ".join(what.split()), source)


def _variants(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Kinds of mistakes possible at ``node``, each with what makes it."""
    if isinstance(node, ast.BinOp) and type(node.op) in _TURNED:
        yield "sign", _turn
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", lambda n: n.operand
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "at" and len(node.args) == 1:
            yield "join", _unjoin
        if node.func.attr in _REDUCTIONS:
            yield "reduction", _reduce
    if isinstance(node, ast.Return) and node.value is not None:
        for steps in (1, -1):
            yield "shift", lambda n, steps=steps: _late(n, steps)
    # Constants have nothing to be cut off from.
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.left, ast.Name)
        and not node.left.id.isupper()
    ):
        yield "detach", _detach
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield "off by one", lambda n: ast.Constant(n.value + 1)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SHIFTED:
        yield "off by one", _shift


def _turn(node: ast.BinOp) -> ast.BinOp:
    return ast.BinOp(node.left, _TURNED[type(node.op)](), node.right)


def _unjoin(node: ast.Call) -> ast.Call:
    return ast.Call(ast.Attribute(node.func.value, "value", ast.Load()), [], [])


def _reduce(node: ast.Call) -> ast.Call:
    named = ast.Attribute(node.func.value, _REDUCTIONS[node.func.attr], ast.Load())
    return ast.Call(named, node.args, node.keywords)


def _late(node: ast.Return, steps: int) -> ast.Return:
    call = ast.Call(ast.Name("_late", ast.Load()), [node.value, ast.Constant(steps)], [])
    return ast.Return(call)


def _detach(node: ast.BinOp) -> ast.BinOp:
    held = ast.Call(ast.Attribute(node.left, "detach", ast.Load()), [], [])
    return ast.BinOp(held, node.op, node.right)


def _shift(node: ast.Compare) -> ast.Compare:
    return ast.Compare(node.left, [_SHIFTED[type(node.ops[0])](), *node.ops[1:]], node.comparators)


def _within_a_model(tree: ast.AST, node: ast.AST) -> bool:
    """Whether ``node`` lies in the body of a function that makes a prediction or a start."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        body = [inner for part in function.body for inner in ast.walk(part)]
        if any(inner is node for inner in body):
            if isinstance(node, ast.Return):
                return function.name == "forward"
            return function.name not in _OTHERS
    return False


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self._target, self._replacement = target, replacement

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if node is self._target:
            return self._replacement
        return super().generic_visit(node)
