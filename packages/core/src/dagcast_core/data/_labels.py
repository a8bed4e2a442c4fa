"""Labels: what they may be, and how one label is told from another that is written alike.

A label is a row of every cube and may be part of a lever, with money behind it. So a word that
appears for the first time is a finding and no label: its rows are set aside until somebody accepts
it. The first source of a dim is where its labels come from; there only words that another one of
the same source is written like are set aside ("Gold" once beside "gold" nine thousand times, and
"glod", a letter off, where it is rare).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from dagcast_core.contract import looks
from dagcast_core.data._declare import EventTable
from dagcast_core.data._sql import quoted

LONGEST = 200
"""Characters of a label; longer texts are notes."""

# What moves the cursor, and what cannot be seen. Joiners (U+200C, U+200D) are letters' business.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
# Letters of a word of which one may be mistyped, and how much commoner the word is that was meant:
# of two names that are a letter apart by themselves, neither is a hundred times rarer.
_WORD, _RARER = 5, 100
_LETTERS, _LETTERS_BEFORE = re.compile(r"[^\W\d_]+"), re.compile(r"[^\W\d_]+$")
_LISTED = 100


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Which labels of a dim rows may have.

    Attributes:
        allowed: the only ones; None where there is no list.
        known: labels that are no news; None where every label is taken.
    """

    allowed: tuple[str, ...] | None = None
    known: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    label: str
    normal: str
    why: str | None


def normal(label: str) -> str:
    """A label as it is kept: composed characters (NFC), no blanks around."""
    return label.strip() if label.isascii() else unicodedata.normalize("NFC", label).strip()


def judge_labels(
    connection: duckdb.DuckDBPyConnection, table: EventTable, rules: Mapping[str, LabelRule]
) -> dict[str, dict[str, int]]:
    """Normalises the labels of the judged rows, and sets aside rows by their labels.

    Args:
        connection: holds the judged rows as the table ``staged``.
        table: the declaration.
        rules: by dim.

    Returns:
        dim -> label -> rows, for labels that are news; the most frequent hundred.
    """
    news = {}
    for dim, column in table.dims.items():
        name = quoted(column)
        counts = Counter(
            dict(
                connection.execute(
                    f"SELECT {name}, COUNT(*) FROM staged WHERE reason IS NULL GROUP BY 1"
                ).fetchall()
            )
        )
        verdicts = _verdicts(dim, counts, rules[dim])
        if verdicts:
            connection.register(
                "verdicts",
                pa.table(
                    {
                        "label": pa.array([v.label for v in verdicts], pa.string()),
                        "normal": pa.array([v.normal for v in verdicts], pa.string()),
                        "why": pa.array([v.why for v in verdicts], pa.string()),
                    }
                ),
            )
            connection.execute(
                f"UPDATE staged SET {name} = verdicts.normal, reason = verdicts.why FROM verdicts "
                f"WHERE staged.reason IS NULL AND staged.{name} = verdicts.label"
            )
            connection.unregister("verdicts")
        found: Counter[str] = Counter()
        for verdict in verdicts:
            if verdict.why in (_new(dim), _alike(dim)):
                found[verdict.normal] += counts[verdict.label]
        if found:
            news[dim] = dict(found.most_common(_LISTED))
    return news


def _verdicts(dim: str, counts: Mapping[str, int], rule: LabelRule) -> list[_Verdict]:
    """What is to be said of labels; of most there is nothing."""
    # Thousands of labels are mostly plain letters, and asked about once, together.
    together = "".join(counts)
    plain = together.isascii() and together.isprintable()
    kept = {label: label.strip() if plain else normal(label) for label in counts}
    fit = plain and all(kept.values()) and max(map(len, kept.values()), default=0) <= LONGEST
    alike: set[str] = set()
    if rule.known is not None and not rule.known:
        totals: Counter[str] = Counter()
        for label, count in counts.items():
            totals[kept[label]] += count
        alike = _rarer_of_alike(totals)
    # An empty set of known labels is the first source, whose labels are all taken.
    allowed = rule.known or None if rule.allowed is None else frozenset(rule.allowed)
    otherwise = _new(dim) if rule.allowed is None else f"unknown {dim}"
    found = []
    for label, text in sorted(kept.items()):
        why = None if fit else unfit(dim, text)
        if why is None and text in alike:
            why = _alike(dim)
        elif why is None and allowed is not None and text not in allowed:
            why = otherwise
        if why is not None or label != text:
            found.append(_Verdict(label, text, why))
    return found


def unfit(dim: str, label: str) -> str | None:
    """Why no label of any dim may be so; None where it may."""
    if not label:
        return f"{dim} is blank"
    plain = label.isascii() and label.isprintable()
    if not plain and _CONTROL.search(label):
        return f"{dim} holds control characters"
    return f"{dim} is longer than {LONGEST} characters" if len(label) > LONGEST else None


def _new(dim: str) -> str:
    return f"new {dim}, not accepted yet"


def _alike(dim: str) -> str:
    return f"{dim} written like another one"


def _rarer_of_alike(totals: Mapping[str, int]) -> set[str]:
    """Of labels that differ in case, width, alphabet, blanks, dashes, dots or joiners, all but one.

    The commonest stays; and so do all that are as common as what they are a letter apart from.
    """
    groups: dict[str, list[str]] = {}
    for label in totals:
        groups.setdefault(looks(label), []).append(label)
    rarer = set()
    for labels in groups.values():
        rarer |= set(sorted(labels, key=lambda label: (-totals[label], label))[1:])
    return rarer | _mistyped({label: totals[label] for label in totals.keys() - rarer})


def _mistyped(totals: Mapping[str, int]) -> set[str]:
    """Rare labels that are a letter away from one that is far commoner."""
    most = max(totals.values(), default=0)
    rare = [label for label, count in totals.items() if count * _RARER <= most]
    if not rare:
        return set()
    # Two texts a letter apart share one that lacks a letter of each.
    lacking: dict[str, list[str]] = {}
    for label, count in totals.items():
        if count >= _RARER:
            for part in {label, *_without_one(label)}:
                lacking.setdefault(part, []).append(label)
    return {
        label
        for label in rare
        if any(
            totals[label] * _RARER <= totals[other] and _letter_apart(label, other)
            for part in {label, *_without_one(label)}
            for other in lacking.get(part, ())
        )
    }


def _without_one(label: str) -> Iterator[str]:
    return (label[:place] + label[place + 1 :] for place in range(len(label)))


def _shared(one: str, other: str) -> int:
    """How many letters two texts begin with together."""
    places = range(min(len(one), len(other)))
    return next((place for place in places if one[place] != other[place]), len(places))


def _letter_apart(one: str, other: str) -> bool:
    """Whether a letter of a word is missing, too many, another one, or changed places."""
    start = _shared(one, other)
    end = _shared(one[start:][::-1], other[start:][::-1])
    mine, its = one[start : len(one) - end], other[start : len(other) - end]
    exchanged = len(mine) == 2 and mine == its[::-1]
    if not exchanged and max(len(mine), len(its)) > 1:
        return False
    if not (mine + its).isalpha():
        # The numbers of two zones differ as little.
        return False
    before, after = _LETTERS_BEFORE.search(other[:start]), _LETTERS.match(other[start:])
    return sum(len(found.group()) for found in (before, after) if found) >= _WORD
