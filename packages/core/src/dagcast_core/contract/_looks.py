"""How a label looks: two that look alike are one to whoever reads them."""

import re
import unicodedata

_JOINERS = re.compile("[\u200c\u200d]")
# Small letters of other alphabets, and what they or their capitals look like.
_LOOKS = str.maketrans(
    # Cyrillic, Greek, and the i without its dot.
    "\u0430\u0432\u0435\u0456\u0458\u043a\u043c\u043d\u043e\u0440\u051b\u0455"
    "\u0441\u0442\u0443\u0445\u04bb\u0501\u051d"
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4"
    "\u03c5\u03c7"
    "\u0131",
    "abeijkmhopqsctyxhdwabezhikmvoptyxi",
)
_BETWEEN = re.compile(r"[\s_\-./]+")


def looks(label: str) -> str:
    """What a label looks like, without regard to case, width, alphabet, blanks, dashes or joiners.

    Args:
        label: any text.

    Returns:
        A text that is equal for labels that people take for each other.
    """
    seen = _JOINERS.sub("", unicodedata.normalize("NFKC", label)).casefold().translate(_LOOKS)
    return _BETWEEN.sub(" ", seen).strip()
