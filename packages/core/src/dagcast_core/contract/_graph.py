"""Order and loops of a graph of models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

N = TypeVar("N", int, str)


@dataclass(frozen=True, slots=True)
class Arc:
    """An edge between models by position, delayed by ``delay`` steps (lag minus look-ahead)."""

    tail: int
    head: int
    quantity: str
    lag: int
    delay: int


def topological_order(count: int, arcs: Iterable[Arc]) -> list[int]:
    """Order ``count`` nodes so that arcs without lag lead forward; ties keep the given order.

    Nodes on a loop without lag come last, in the given order.
    """
    heads: dict[int, set[int]] = {node: set() for node in range(count)}
    waiting = [0] * count
    for arc in arcs:
        if arc.lag == 0 and arc.head not in heads[arc.tail]:
            heads[arc.tail].add(arc.head)
            waiting[arc.head] += 1
    order: list[int] = []
    ready = [node for node in range(count) if not waiting[node]]
    while ready:
        node = min(ready)
        ready.remove(node)
        order.append(node)
        for head in heads[node]:
            waiting[head] -= 1
            if not waiting[head]:
                ready.append(head)
    return order + [node for node in range(count) if waiting[node]]


def instant_loops(count: int, arcs: Sequence[Arc]) -> list[list[Arc]]:
    """Find the loops in which a value depends on itself in the same step or a later one.

    A loop is harmless if its delays add up to at least one step. One loop is returned per group
    of models that are all upstream of each other, the shortest if none of its arcs is lagged,
    since correcting it changes the rest.

    Args:
        count: number of nodes.
        arcs: the edges.

    Returns:
        Loops as arcs in order, each starting at its first node in the given order.
    """
    loops = []
    for group in _components(count, arcs):
        inside = [arc for arc in arcs if arc.tail in group and arc.head in group]
        unlagged = [arc for arc in inside if arc.lag == 0]
        loop = _shortest_loop(group, unlagged) or _undelayed_loop(group, inside)
        if loop:
            start = min(range(len(loop)), key=lambda i: loop[i].tail)
            loops.append(loop[start:] + loop[:start])
    return loops


def reachable(start: Iterable[N], arrows: Mapping[N, Iterable[N]]) -> set[N]:
    """Return everything that ``arrows`` lead to from ``start``, which is included."""
    seen = set(start)
    stack = list(seen)
    while stack:
        for target in arrows.get(stack.pop(), ()):
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return seen


def _components(count: int, arcs: Sequence[Arc]) -> list[set[int]]:
    # Graphs of models are small: two reachability sweeps per node are clearer than Tarjan.
    forward: dict[int, set[int]] = {}
    backward: dict[int, set[int]] = {}
    for arc in arcs:
        forward.setdefault(arc.tail, set()).add(arc.head)
        backward.setdefault(arc.head, set()).add(arc.tail)
    groups: list[set[int]] = []
    placed: set[int] = set()
    looped = {arc.tail for arc in arcs if arc.tail == arc.head}
    for node in range(count):
        if node in placed:
            continue
        group = reachable([node], forward) & reachable([node], backward)
        placed |= group
        if len(group) > 1 or node in looped:
            groups.append(group)
    return groups


def _shortest_loop(group: set[int], arcs: Sequence[Arc]) -> list[Arc]:
    best: list[Arc] = []
    for start in sorted(group):
        paths: dict[int, list[Arc]] = {start: []}
        queue = [start]
        while queue:
            node = queue.pop(0)
            for arc in arcs:
                if arc.tail != node:
                    continue
                path = [*paths[node], arc]
                if arc.head == start:
                    if not best or len(path) < len(best):
                        best = path
                    queue.clear()
                    break
                if arc.head not in paths:
                    paths[arc.head] = path
                    queue.append(arc.head)
    return best


def _undelayed_loop(group: set[int], arcs: Sequence[Arc]) -> list[Arc]:
    # A loop with a total delay of at most 0 is a negative loop once each arc also loses less
    # than one step in all; Bellman and Ford find one.
    scale = len(group) + 1
    distance = dict.fromkeys(group, 0)
    came: dict[int, Arc] = {}
    last: int | None = None
    for _ in range(len(group)):
        last = None
        for arc in arcs:
            reached = distance[arc.tail] + arc.delay * scale - 1
            if reached < distance[arc.head]:
                distance[arc.head] = reached
                came[arc.head] = arc
                last = arc.head
    if last is None:
        return []
    node = last
    for _ in group:
        node = came[node].tail
    loop = [came[node]]
    while loop[0].tail != node:
        loop.insert(0, came[loop[0].tail])
    return loop
