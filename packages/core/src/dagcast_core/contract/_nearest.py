"""The name that was probably meant, for the way out that an error offers."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.7) -> str | None:
    """Return the name in ``known`` that ``name`` was probably meant to be, if any.

    Args:
        name: what was written.
        known: what could have been meant.
        cutoff: least similarity, 0 to 1, as ``difflib`` measures it.
    """
    # Only a wrong name pays for the import.
    from difflib import get_close_matches

    candidates = sorted(set(known))
    close = get_close_matches(name, candidates, n=1, cutoff=cutoff)
    if close:
        return close[0]
    # 'open_hours' was meant to be 'open_driver_hours': the same words, and others besides.
    words = set(name.split("_"))
    shared = [c for c in candidates if words < set(c.split("_")) or set(c.split("_")) < words]
    close = get_close_matches(name, shared, n=1, cutoff=max(0.5, cutoff - 0.2))
    return close[0] if close else None
