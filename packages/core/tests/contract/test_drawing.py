"""The graph of models, drawn three ways."""

import itertools
import xml.etree.ElementTree as ElementTree

import pytest

from dagcast_core.contract import Contract, Graph, Input, Quantity
from dagcast_core.dims import HOUR

A, B, C, D = (Quantity(name, (HOUR,), "1") for name in "abcd")
SUPPLY = Contract("supply-side", inputs=(A, Input(D, lag=24)), outputs=(B,))
DEMAND = Contract("demand", inputs=(B, A), outputs=(C,))
MONEY = Contract("money", inputs=(C, B), outputs=(D,))


@pytest.fixture
def graph():
    return Graph.of([MONEY, DEMAND, SUPPLY], ["supply-side", "demand", "money"])


def test_links_are_what_one_makes_and_another_reads(graph):
    found = {(link.maker, link.reader, link.quantity, link.lag) for link in graph.links}
    assert found == {
        ("supply-side", "demand", "b", 0),
        ("supply-side", "money", "b", 0),
        ("demand", "money", "c", 0),
        ("money", "supply-side", "d", 24),
    }
    assert graph.outside == ("a",)


def test_text_leaves_nothing_out(graph):
    assert graph.text().splitlines() == [
        "from outside: a",
        "",
        "supply-side",
        "  reads a  (outside)",
        "  reads d (24 earlier)  (money)",
        "  makes b",
        "",
        "demand",
        "  reads b  (supply-side)",
        "  reads a  (outside)",
        "  makes c",
        "",
        "money",
        "  reads c  (demand)",
        "  reads b  (supply-side)",
        "  makes d",
    ]


def test_mermaid_has_a_node_per_model_and_an_arrow_per_link(graph):
    lines = graph.mermaid().splitlines()
    assert lines[0] == "flowchart LR"
    assert '  m0["supply-side"]' in lines
    assert '  x0(["a"])' in lines
    assert {"  x0 --> m0", "  x0 --> m1", '  m0 -->|"b"| m1', '  m1 -->|"c"| m2'} <= set(lines)
    assert '  m2 -.->|"d (24 earlier)"| m0' in lines
    assert sum("->" in line for line in lines) == 6


def test_svg_puts_readers_to_the_right_and_overlaps_no_boxes(graph):
    root = ElementTree.fromstring(graph.svg())
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        [float(box.get(key)) for key in ("x", "y", "width", "height")]
        for box in root.iter(f"{space}rect")
    ]
    assert len(boxes) == 3
    assert boxes[0][0] < boxes[1][0] < boxes[2][0]
    texts = [text.text for text in root.iter(f"{space}text")]
    assert {"supply-side", "demand", "money", "< a", "b", "c", "d (24 earlier)"} <= set(texts)
    assert sum(path.get("stroke-dasharray") is not None for path in root.iter(f"{space}path")) == 1


def test_boxes_of_one_column_do_not_overlap():
    wide = [
        Contract(f"m{k}", inputs=(A, D), outputs=(Quantity(f"q{k}", (HOUR,), "1"),))
        for k in range(5)
    ]
    root = ElementTree.fromstring(Graph.of(wide).svg())
    boxes = [
        (float(box.get("y")), float(box.get("height")))
        for box in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    for (top, height), (below, _) in itertools.pairwise(boxes):
        assert top + height < below
