"""Pandas frames as one mapped file, with every type, index and label as it was; `session.formats` keeps them so.

Pandas holds the columns of one type together in a block. A block of numbers is written as it lies in memory, by rows or by
columns, and mapped copy-on-write: no value is copied on the way, and a frame that was loaded may be changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from pandas.core import internals  # type: ignore[attr-defined]  # pyarrow does so too: only pandas 3 has a public way

from workbench.session.pandas_columns import read_column, read_labels, write_column, write_labels
from workbench.session.parts import Parts, PartsWriter, Spec, open_parts

__all__ = ["FrameUnstorable", "read_pandas", "write_pandas"]


class FrameUnstorable(TypeError):
    """One column, or the labels of an axis, cannot be stored: `place` is how Python reaches it, such as `["age"]`."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def write_pandas(frame: pd.DataFrame, stream: IO[bytes]) -> None:
    """Writes a frame; columns that are no numbers, dates or truth values are converted one by one.

    Raises:
        FrameUnstorable: a column or an index would not come back as it is.
        TypeError: the frame is of a type derived from pandas' own, with properties that only its library knows.
    """
    if type(frame) is not pd.DataFrame:
        raise TypeError("it would come back as a plain pandas.DataFrame; save pandas.DataFrame(it)")
    parts = PartsWriter(stream)
    blocks = [_write_block(parts, frame, block) for block in frame._mgr.blocks]
    axes = {name: _placed(f".{name}", write_labels, parts, getattr(frame, name)) for name in ("index", "columns")}
    _placed(".attrs", parts.finish, {"blocks": blocks, **axes, "attrs": frame.attrs})


def read_pandas(path: Path) -> pd.DataFrame:
    """The frame in a file that `write_pandas` wrote; numbers, dates and truth values are mapped and copied when changed."""
    parts = open_parts(path)
    description = parts.description
    axes = [read_labels(parts, description["columns"]), read_labels(parts, description["index"])]
    blocks = [made for spec in description["blocks"] for made in _read_block(parts, spec)]
    frame: pd.DataFrame = pd.DataFrame._from_mgr(internals.BlockManager(blocks, axes), axes)  # type: ignore[attr-defined]
    frame.attrs = description["attrs"]
    return frame


def _write_block(parts: PartsWriter, frame: pd.DataFrame, block: Any) -> Spec:
    places = block.mgr_locs.as_array.tolist()
    if isinstance(block.dtype, np.dtype) and not block.dtype.hasobject:
        return {"places": places, "values": parts.array(np.asarray(block.values))}
    together = isinstance(block.dtype, np.dtype)  # else each is an array of its own, or a row of an array of zoned times
    arrays = list(block.values) if together else [frame.iloc[:, i].array for i in places]
    columns = [_placed(f"[{frame.columns[i]!r}]", write_column, parts, values) for i, values in zip(places, arrays, strict=True)]
    return {"places": places, "columns": columns, "together": together}


def _read_block(parts: Parts, spec: Spec) -> list[Any]:
    places = spec["places"]
    if "values" in spec:
        return [internals.make_block(parts.array(spec["values"]), placement=places)]
    columns = [read_column(parts, column) for column in spec["columns"]]
    if not spec["together"]:
        return [internals.make_block(column, placement=[at], ndim=2) for at, column in zip(places, columns, strict=True)]
    values = np.empty((len(columns), len(columns[0])), dtype=object)
    for row, column in zip(values, columns, strict=True):
        row[:] = column
    return [internals.make_block(values, placement=places)]


def _placed(place: str, write: Any, *values: Any) -> Any:
    try:
        return write(*values)
    except (TypeError, ValueError, NotImplementedError) as error:  # Arrow's own errors are of these kinds too
        raise FrameUnstorable(place, str(error)) from error
