"""Whatever DAG the models form, assembly finds an order, and the one thing that is broken in it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dagcast_core.contract import Contract, Dim, Input, Quantity, assemble
from dagcast_core.dims import HOUR

REGION = Dim("region")


def quantity(number):
    # Names unlike each other, so that none is taken for a misspelling of another.
    return Quantity("abcdefghijklm"[number] * 5, (REGION, HOUR), "1")


def contract(number, reads, lag=0):
    inputs = tuple(Input(quantity(other), lag=lag) for other in sorted(reads))
    return Contract(f"m{number}", inputs=inputs, outputs=(quantity(number),))


@st.composite
def graphs(draw, least=2, most=9):
    """Models by number, each reading some of smaller number, in any order of arrival."""
    count = draw(st.integers(least, most))
    reads = [draw(st.sets(st.integers(0, n - 1))) if n else set() for n in range(count)]
    return reads, draw(st.permutations(range(count)))


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_any_dag_fits_and_producers_come_first(graph):
    reads, order = graph
    assembly = assemble([contract(n, reads[n]) for n in order], externals=())
    assert assembly.problems == ()
    place = {model: position for position, model in enumerate(assembly.order)}
    assert len(place) == len(reads)
    assert all(place[f"m{a}"] < place[f"m{b}"] for b in range(len(reads)) for a in reads[b])


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), data=st.data())
def test_order_of_arrival_changes_no_problem(graph, data):
    reads, order = graph
    gone = data.draw(st.integers(0, len(reads) - 1))

    def problems(numbers):
        held = assemble([contract(n, reads[n]) for n in numbers if n != gone], externals=())
        return {(p.code, p.name, frozenset(p.consumer.split(", "))) for p in held.problems}

    assert problems(order) == problems(sorted(order))


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), data=st.data())
def test_model_that_is_gone_is_one_problem_naming_its_readers(graph, data):
    reads, order = graph
    gone = data.draw(st.integers(0, len(reads) - 1))
    readers = {f"m{n}" for n in range(len(reads)) if gone in reads[n]}
    held = assemble([contract(n, reads[n]) for n in order if n != gone], externals=()).problems
    assert len(held) == bool(readers)
    for problem in held:
        assert (problem.code, problem.name) == ("DC102", quantity(gone).name)
        assert set(problem.consumer.split(", ")) == readers


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), data=st.data())
def test_closing_a_path_is_one_cycle_and_a_lag_opens_it_again(graph, data):
    reads, order = graph
    edges = [(a, b) for b in range(len(reads)) for a in reads[b]]
    if not edges:
        return
    first, last = data.draw(st.sampled_from(edges))

    def closed(lag):
        models = []
        for number in order:
            made = contract(number, reads[number])
            if number == first:
                back = Input(quantity(last), lag=lag)
                made = Contract(made.model, inputs=(*made.inputs, back), outputs=made.outputs)
            models.append(made)
        return assemble(models, externals=()).problems

    assert [problem.code for problem in closed(0)] == ["DC101"]
    assert closed(1) == ()
