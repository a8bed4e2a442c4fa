"""The drawings of the layers show the imports of the code: none too many, none too few."""

import re
from fnmatch import fnmatch
from itertools import takewhile

import pytest
from imports import ROOT, circles, imports, packages

DRAWINGS = re.findall(
    r"^## (.+?)$.*?^```mermaid\n(.+?)^```",
    (ROOT / "docs/design/layers.md").read_text(),
    re.DOTALL | re.MULTILINE,
)
BOX = re.compile(r'(\w+)\["([\w.*]+)"\]')
ARROWS = re.compile(r"(\w+) --> (\w+(?: & \w+)*)")
FRAME = re.compile(r"flowchart TD|subgraph \w+|end")


def read(drawing):
    """The modules that a drawing's boxes stand for, by id, and its arrows between ids."""
    boxes, arrows = {}, set()
    for line in filter(None, map(str.strip, drawing.splitlines())):
        if box := BOX.fullmatch(line):
            boxes[box[1]] = box[2]
        elif arrow := ARROWS.fullmatch(line):
            arrows |= {(arrow[1], target) for target in arrow[2].split(" & ")}
        elif not FRAME.fullmatch(line):
            raise ValueError(f"the drawing's line {line!r} is neither a box nor an arrow")
    unknown = {end for arrow in arrows for end in arrow} - set(boxes)
    if unknown:
        raise ValueError(f"arrows lead to boxes that are not drawn: {', '.join(sorted(unknown))}")
    return boxes, arrows


def box_of(file, boxes):
    """Id of the box that a file lies in; None if it lies in none."""
    ids = {module: box for box, module in boxes.items()}
    parts = file.split(".")
    for depth in range(len(parts), 0, -1):
        module = ".".join(parts[:depth])
        divided = any(other.startswith(f"{module}.") for other in ids)
        if module in ids and (module == file or not divided):
            return ids[module]
        if f"{module}.*" in ids:
            return ids[f"{module}.*"]
    if any(module.partition(".")[0] == parts[0] for module in ids):
        return None  # a package that is drawn in parts: all of them have to be
    return next((ids[module] for module in ids if fnmatch(parts[0], module)), None)


def within(file, boxes):
    """Whether a file lies in what the drawing shows: the module that all boxes lie in, if any."""
    modules = [module.split(".") for module in boxes.values()]
    levels = takewhile(lambda names: len(set(names)) == 1, zip(*modules, strict=False))
    shown = [names[0] for names in levels]
    parts = file.split(".")
    return parts[: len(shown)] == shown and any(fnmatch(parts[0], module[0]) for module in modules)


def differences(drawing, imported):
    """Lines saying where a drawing and the imports of files differ."""
    boxes, drawn = read(drawing)
    place = {file: box_of(file, boxes) for file in imported}
    lost = [file for file, box in place.items() if box is None and within(file, boxes)]
    # A folder is named once, and not again for each file in it.
    lines = [f"{file} lies in no box" for file in lost if file.rpartition(".")[0] not in lost]
    found = {}
    for file, targets in imported.items():
        for target in targets:
            pair = place[file], place[target]
            apart = file.partition(".")[0] != target.partition(".")[0]
            if None not in pair and (pair[0] != pair[1] or apart):
                found.setdefault(pair, f"{file} imports {target}")
    lines += [f"{a} --> {b} is not drawn: {found[a, b]}" for a, b in sorted(found.keys() - drawn)]
    lines += [f"{a} --> {b} is drawn: no file imports so" for a, b in sorted(drawn - found.keys())]
    return lines


@pytest.fixture(scope="module")
def ours():
    return imports(*packages())


@pytest.mark.parametrize("drawing", [d for _, d in DRAWINGS], ids=[title for title, _ in DRAWINGS])
def test_drawing_shows_the_imports(drawing, ours):
    assert differences(drawing, ours) == []


@pytest.mark.parametrize("drawing", [d for _, d in DRAWINGS], ids=[title for title, _ in DRAWINGS])
def test_layers_lie_on_no_circle(drawing):
    boxes, arrows = read(drawing)
    assert circles({box: sorted(b for a, b in arrows if a == box) for box in boxes}) == []


def test_first_drawing_has_a_box_for_every_file(ours):
    title, drawing = DRAWINGS[0]
    assert title == "The project"
    assert [file for file in ours if box_of(file, read(drawing)[0]) is None] == []


PLANTED = {
    "shop": [],
    "shop.till": ["shop.goods"],
    "shop.goods": [],
    "shop.goods._shelf": ["shop.goods._price"],
    "shop.goods._price": [],
    "shop_bread": ["shop"],
    "shop_milk": ["shop"],
}
TRUE = """
flowchart TD
    names["shop"]
    till["shop.till"]
    goods["shop.goods"]
    teams["shop_*"]
    till --> goods
    teams --> names
"""


def test_true_drawing_differs_in_nothing():
    assert differences(TRUE, PLANTED) == []


@pytest.mark.parametrize(
    ("drawing", "more", "line"),
    [
        (TRUE + "goods --> names", {}, "goods --> names is drawn: no file imports so"),
        (
            TRUE.replace("till --> goods", ""),
            {},
            "till --> goods is not drawn: shop.till imports shop.goods",
        ),
        (
            TRUE,
            {"shop.goods._price": ["shop.till"]},
            "goods --> till is not drawn: shop.goods._price imports shop.till",
        ),
        (
            TRUE,
            {"shop_milk": ["shop", "shop_bread"]},
            "teams --> teams is not drawn: shop_milk imports shop_bread",
        ),
        (TRUE, {"shop.cellar": [], "shop.cellar._shelf": []}, "shop.cellar lies in no box"),
    ],
    ids=["too many", "too few", "new import", "team imports team", "new folder"],
)
def test_wrong_drawing_is_told_the_pair(drawing, more, line):
    assert differences(drawing, {**PLANTED, **more}) == [line]


@pytest.mark.parametrize(
    ("line", "match"), [("till -.-> goods", "neither a box nor"), ("till --> cellar", "not drawn")]
)
def test_drawing_that_cannot_be_read_is_refused(line, match):
    with pytest.raises(ValueError, match=match):
        read(TRUE + line)
