"""What data are, by what they hold: the same wherever and by whatever they were written."""

import hashlib
import json
from pathlib import Path
from typing import Any

# Another library, or another machine, may compute the last digits differently.
_DIGITS = 6
_LENGTH = 16


def data_id(events: Path) -> str:
    """Identify event files.

    Args:
        events: folder of files, Parquet tables and JSON.

    Returns:
        The beginning of a sha256 over all values, numbers to six decimals.
    """
    import pandas as pd

    whole = hashlib.sha256()
    for file in sorted(events.rglob("*")):
        if file.suffix == ".parquet":
            frame = pd.read_parquet(file)
            # Column by column, and not as somebody's Parquet lays them out.
            for column in sorted(map(str, frame)):
                column_values = frame[column]
                if pd.api.types.is_float_dtype(column_values):
                    column_values = column_values.round(_DIGITS)
                values = pd.util.hash_pandas_object(column_values, index=False)
                whole.update(f"{file.name}:{column}:{len(frame)}".encode())
                whole.update(values.to_numpy().tobytes())
        elif file.suffix == ".json":
            whole.update(id_of(json.loads(file.read_text("utf-8"))).encode())
    return whole.hexdigest()[:_LENGTH]


def id_of(value: object) -> str:
    """Identify JSON values, numbers to six decimals."""
    text = json.dumps(_rounded(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
