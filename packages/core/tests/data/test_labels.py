"""Labels: what they may be, what is written alike, and numbers that no business has."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import DataError, DeclarationError, UnknownMetricError


def rides_of(make_rides, **counts: int) -> pd.DataFrame:
    names = [name for name, count in counts.items() for _ in range(count)]
    return make_rides(*((n, name, n % 50, 20, 1.0, 1.0) for n, name in enumerate(names)))


@pytest.mark.parametrize("rare", ["Boost", " boost", "BOOST", "boost ", "bo\u0301ost"])
def test_one_word_among_many_is_no_label(store, rides_table, make_rides, rare):
    rides = rides_of(make_rides, boost=40, guarantee=3, x=1)
    rides.loc[rides["region"] == "x", "region"] = rare
    report = store.ingest(rides_table, rides)
    alike = rare.strip() != "boost" and "\u0301" not in rare
    assert report.accepted == (43 if alike else 44)
    assert report.new_labels == ({"region": {rare.strip(): 1}} if alike else {})
    if alike:
        assert report.quarantined == {"region written like another one": 1}


@pytest.mark.parametrize(
    "rare",
    [
        "bo\u200dost",
        "boo\u200cst",
        "\uff42oost",
        "boos\uff34",
        "b\u043e\u043est",
        "\u0412oo\u0455t",
        "b\u03bf\u03bfst",
    ],
)
def test_a_label_that_looks_like_another_one_is_no_label(store, rides_table, make_rides, rare):
    rides = rides_of(make_rides, boost=40, x=1)
    rides.loc[rides["region"] == "x", "region"] = rare
    report = store.ingest(rides_table, rides)
    assert report.quarantined == {"region written like another one": 1}


@pytest.mark.parametrize("hidden", ["\xad", "\u200b", "\u200e", "\u200f", "\u2060", "\U000e0041"])
def test_a_label_holds_nothing_that_cannot_be_seen(store, rides_table, make_rides, hidden):
    rides = rides_of(make_rides, boost=4, x=1)
    rides.loc[rides["region"] == "x", "region"] = f"bo{hidden}ost"
    report = store.ingest(rides_table, rides)
    assert report.quarantined == {"region holds control characters": 1}
    assert store.labels()["region"] == ("boost",)


@pytest.mark.parametrize(
    ("common", "rare", "alike"),
    [
        ("guarantee", "guarantees", True),
        ("guarantee", "guarante", True),
        ("guarantee", "gaurantee", True),
        ("guarantee", "guerantee", True),
        ("guarantee", "uarantee", True),
        ("guarantee", "g\u0443arantee", True),
        # Two letters, a number, a short word, and a word beside another.
        ("guarantee", "guarntees", False),
        ("district 1", "district 2", False),
        ("quest", "quest2", False),
        ("east", "easy", False),
        ("line a", "line b", False),
        ("new york city", "new york cities", False),
    ],
)
def test_a_rare_word_a_letter_off_a_common_one_is_no_label(
    store, rides_table, make_rides, common, rare, alike
):
    """Nine thousand rows of a lever and one mistyped would be two levers, in the first source."""
    rides = rides_of(make_rides, **{common: 100, rare: 1, "other": 100})
    report = store.ingest(rides_table, rides)
    assert report.new_labels == ({"region": {rare: 1}} if alike else {})
    assert store.labels()["region"] == tuple(sorted({common, "other", *([] if alike else [rare])}))
    if alike:
        store.accept("region", [rare])
        assert store.ingest(rides_table, rides).accepted == len(rides)


def test_words_a_letter_apart_are_labels_where_both_are_common(store, rides_table, make_rides):
    rides = rides_of(make_rides, marten=150, martin=2, other=20)
    assert store.ingest(rides_table, rides).new_labels == {}


def test_labels_that_differ_by_more_than_case_are_labels(store, rides_table, make_rides):
    rides = rides_of(make_rides, a=1)
    names = ["12_3", "1_23", "02139", "2139", "NA", "N/A1", "Manhattan", "Manhatten"]
    rides = pd.concat([rides.assign(id=n, region=name) for n, name in enumerate(names)])
    assert store.ingest(rides_table, rides).accepted == len(names)
    assert store.labels()["region"] == tuple(sorted(names))


def test_a_label_that_comes_later_waits_until_it_is_accepted(store, rides_table, make_rides):
    store.ingest(rides_table, rides_of(make_rides, SFO=2, OAK=1))
    later = rides_of(make_rides, SFO=1, NYC=2, LAX=1).assign(id=[11, 12, 13, 14])
    report = store.ingest(rides_table, later)
    assert (report.accepted, report.quarantined) == (1, {"new region, not accepted yet": 3})
    assert report.new_labels == {"region": {"NYC": 2, "LAX": 1}}
    assert store.labels()["region"] == ("OAK", "SFO")
    store.accept("region", ["NYC"])
    report = store.ingest(rides_table, later)
    assert (report.accepted, report.duplicates) == (3, 0)
    assert report.new_labels == {"region": {"LAX": 1}}
    assert store.labels()["region"] == ("NYC", "OAK", "SFO")
    assert store.spans()["rides"].rows <= 6
    store.verify()
    assert store.ingest(rides_table, later).unchanged
    with pytest.raises(UnknownMetricError, match="no dim 'city'"):
        store.accept("city", ["NYC"])
    with pytest.raises(DataError, match="found blanks"):
        store.accept("region", [" "])
    for label, why in {
        "N\u200bYC": "holds control", "\x07": "holds control", "x" * 201: "is longer than",
    }.items():  # fmt: skip
        with pytest.raises(DataError, match=f"cannot accept the label .*found that region {why}"):
            store.accept("region", [label])


def test_a_declared_list_is_what_labels_may_be(store, rides_table, make_rides):
    table = replace(rides_table, labels={"region": ("SFO", "OAK")})
    rides = rides_of(make_rides, SFO=2, sfo=1, NYC=1)
    report = store.ingest(table, rides)
    assert (report.accepted, report.quarantined) == (2, {"unknown region": 2})
    # A longer list is no other table, and the same rows are judged anew.
    wider = replace(table, labels={"region": ("SFO", "OAK", "NYC")})
    report = store.ingest(wider, rides)
    assert (report.accepted, report.duplicates) == (3, 0)
    assert store.ingest(wider, rides, labels={"region": ["OAK"]}).accepted == 0


def test_any_label_is_taken_where_that_is_declared(store, rides_table, make_rides):
    table = replace(rides_table, labels={"region": "any"})
    store.ingest(table, rides_of(make_rides, SFO=2))
    later = rides_of(make_rides, sfo=1, NYC=1).assign(id=[11, 12])
    assert store.ingest(table, later).accepted == 2


@pytest.mark.parametrize(
    ("label", "kept"),
    [("e\u0301", "é"), ("\u00a0SFO\t", "SFO"), ("  two words ", "two words"), ("Ω", "Ω")],
)
def test_label_texts_are_normalised(store, rides_table, make_rides, label, kept):
    report = store.ingest(rides_table, rides_of(make_rides, x=1).assign(region=label))
    assert report.accepted == 1
    assert store.labels()["region"] == (kept,)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("S\tFO", "region holds control characters"),
        ("S\nFO", "region holds control characters"),
        ("S\0FO", "region holds control characters"),
        ("S\u2028FO", "region holds control characters"),
        ("\u202eOFS", "region holds control characters"),
        ("\t", "region is blank"),
        ("\u00a0", "region is missing"),
        ("x" * 201, "region is longer than 200 characters"),
        ("", "region is missing"),
    ],
)
def test_texts_that_are_no_labels_are_set_aside(store, rides_table, make_rides, label, reason):
    rides = rides_of(make_rides, SFO=2)
    rides.loc[1, "region"] = label
    report = store.ingest(rides_table, rides)
    assert (report.accepted, report.quarantined) == (1, {reason: 1})


@pytest.mark.parametrize("value", [1e14, -1e14, 1.1e12, 1e15, 1e300])
def test_numbers_that_no_business_has_are_set_aside(store, rides_table, make_rides, value):
    rides = rides_of(make_rides, SFO=2)
    rides.loc[1, "fare"] = value
    report = store.ingest(rides_table, rides)
    assert report.accepted == 1
    assert sum(report.quarantined.values()) == 1


def test_a_declared_bound_replaces_the_general_one(store, rides_table, make_rides):
    columns = tuple(replace(c, upper=1e14) if c.name == "fare" else c for c in rides_table.columns)
    rides = rides_of(make_rides, SFO=1).assign(fare=1e14)
    assert store.ingest(replace(rides_table, columns=columns), rides).accepted == 1


@pytest.mark.parametrize(
    ("written", "accepted"), [("true", 0), ("1", 1), ("False", 0), ("yes", 0), ("0", 0)]
)
def test_true_is_no_number(store, rides_table, make_rides, written, accepted):
    rides = rides_of(make_rides, SFO=1).assign(fare=written)
    assert store.ingest(rides_table, rides).accepted == accepted


def test_only_0_and_1_are_true_or_false(store, rides_table, make_rides):
    from dagcast_core.data import Column

    table = replace(rides_table, columns=(*rides_table.columns, Column("done", "flag")))
    rides = rides_of(make_rides, SFO=4).assign(done=np.array([0, 1, 2, -1]))
    report = store.ingest(table, rides)
    assert (report.accepted, report.quarantined) == (2, {"done is not true or false": 2})


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"city": "any"}, "labels are declared for 'city', which is no dim"),
        ({"region": "some"}, "labels of 'region' are 'some', not a list, 'known' or 'any'"),
    ],
)
def test_rules_that_say_nothing_are_refused(rides_table, labels, problem):
    with pytest.raises(DeclarationError, match=problem):
        replace(rides_table, labels=labels)
