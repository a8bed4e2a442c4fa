"""JSON that people wrote is read wholly or refused in words."""

import pytest

from dagcast_core.contract import parsed_json


def test_plain_values_are_read():
    assert parsed_json(b'\xef\xbb\xbf{"a": [1, 2.5, null, true, "\xc3\xa9"]}') == {
        "a": [1, 2.5, None, True, "\u00e9"]
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1, "b": {"x": 1, "x": 2}}', "the key 'x' twice"),
        (b'{"a": NaN}', "NaN, which is no number"),
        (b"[-Infinity]", "-Infinity, which is no number"),
        (b"[" * 100_000, "more levels than can be read"),
        (b'{"a":' * 100_000, "more levels than can be read"),
        (b"9" * 5_000, "digits"),
        (b"\xff", "utf-8"),
        (b"", "Expecting value"),
        (b" " * 50_000_001, "50,000,001 bytes"),
    ],
)
def test_what_python_would_take_or_stumble_over_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        parsed_json(data)
