"""One pandas column, or the labels of an axis, as parts of a file and back with the same type; for `session.pandas_frames`."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import pandas_dtype

from workbench.session.parts import Parts, PartsWriter, Spec

__all__ = ["read_column", "read_labels", "write_column", "write_labels"]

NAMES = (str, int, float, bool, type(None))


def write_column(parts: PartsWriter, values: Any) -> Spec:
    """Writes a one-dimensional numpy or extension array.

    Numbers, dates and category codes stay as they lie in memory. Objects become Arrow when all are texts, bytes, numbers,
    dates or decimals, else JSON; missing ones come back as None.

    Raises:
        TypeError: the values have no form that gives the same back.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes, categories = parts.array(values.codes), write_labels(parts, dtype.categories)
        return {"codes": codes, "categories": categories, "ordered": dtype.ordered}
    if isinstance(dtype, pd.ArrowDtype):
        return {"arrow": parts.arrow(pa.array(values))}
    if isinstance(dtype, np.dtype):
        return _write_objects(parts, values) if dtype.hasobject else {"numpy": parts.array(np.asarray(values))}
    name = f"string[{dtype.storage}]" if isinstance(dtype, pd.StringDtype) else str(dtype)
    if not hasattr(dtype, "__from_arrow__") or pandas_dtype(name) != dtype:
        raise TypeError(f"pandas cannot read its type {dtype} back")
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"moments": parts.array(values.asi8), "dtype": name}  # since 1970 in UTC; Arrow's would be read-only
    return {"arrow": parts.arrow(pa.array(values)), "dtype": name}


def read_column(parts: Parts, spec: Spec) -> Any:
    """The array that `write_column` wrote."""
    if "numpy" in spec:
        return parts.array(spec["numpy"])
    if "codes" in spec:
        dtype = pd.CategoricalDtype(read_labels(parts, spec["categories"]), ordered=spec["ordered"])
        return pd.Categorical.from_codes(parts.array(spec["codes"]), dtype=dtype, validate=False)
    if "objects" in spec:
        return _as_objects(spec["objects"])
    if "moments" in spec:
        return pd.array(parts.array(spec["moments"]), dtype=spec["dtype"], copy=False)
    column = parts.arrow(spec["arrow"])
    if spec.get("dtype") == "object":
        return column.to_numpy() if _is_text(column.type) else _as_objects(column.to_pylist())
    extension: Any = pandas_dtype(spec["dtype"]) if "dtype" in spec else pd.ArrowDtype(column.type)
    return extension.__from_arrow__(column)


def write_labels(parts: PartsWriter, labels: pd.Index[Any]) -> Spec:
    """Writes the labels of rows or columns, of one level or several.

    Raises:
        TypeError: as `write_column`, or a name is neither text nor number nor a tuple of such.
    """
    names = [_plain_name(name) for name in labels.names]
    if isinstance(labels, pd.RangeIndex):
        return {"names": names, "range": [labels.start, labels.stop, labels.step]}
    if isinstance(labels, pd.MultiIndex):
        levels = [write_labels(parts, level) for level in labels.levels]
        return {"names": names, "levels": levels, "codes": [parts.array(np.asarray(codes)) for codes in labels.codes]}
    values = labels.to_numpy() if isinstance(labels.dtype, np.dtype) else labels.array
    freq = labels.freqstr if isinstance(labels, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    return {"names": names, "values": write_column(parts, values), "freq": freq}


def read_labels(parts: Parts, spec: Spec) -> pd.Index[Any]:
    """The labels that `write_labels` wrote."""
    names = [tuple(name) if isinstance(name, list) else name for name in spec["names"]]
    if "range" in spec:
        start, stop, step = spec["range"]
        return pd.RangeIndex(start, stop, step, name=names[0])
    if "levels" in spec:
        levels: list[Any] = [read_labels(parts, level) for level in spec["levels"]]
        codes: list[Any] = [parts.array(each) for each in spec["codes"]]
        return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=False)
    values = read_column(parts, spec["values"])
    labels: Any = pd.Index(values, dtype=values.dtype, name=names[0])
    if spec["freq"]:
        labels.freq = spec["freq"]
    return cast("pd.Index[Any]", labels)


def _write_objects(parts: PartsWriter, values: Any) -> Spec:
    try:
        column = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        column = None
    if column is not None and (_is_text(column.type) or _same(column, values)):
        return {"arrow": parts.arrow(column), "dtype": "object"}
    items = [None if item is pd.NA else item for item in values]
    odd = next((item for item in items if not _survives_json(item)), None)
    if odd is not None:
        kind = f"{type(odd).__module__}.{type(odd).__qualname__}"
        raise TypeError(f"it holds a {kind}, which has no form in Arrow beside its neighbours and none in JSON")
    return {"objects": items}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _same(column: pa.Array | pa.ChunkedArray, values: Any) -> bool:
    """Whether Arrow gives back what it was given: it makes bytes of texts among bytes, and gives records each other's keys."""
    if pa.types.is_nested(column.type):
        return False
    plain = (given.item() if isinstance(given, np.generic) else given for given in values)
    pairs = zip(column.to_pylist(), plain, strict=True)
    return all(read is None or (type(read) is type(given) and read == given) for read, given in pairs)


def _survives_json(item: object) -> bool:
    """Whether JSON gives an equal value of the same types back."""
    try:
        return repr(json.loads(json.dumps(item))) == repr(item)
    except (TypeError, ValueError, RecursionError):
        return False


def _as_objects(items: list[Any]) -> Any:
    return pd.Series(items, dtype=object).to_numpy()


def _plain_name(name: object) -> object:
    plain = name.item() if isinstance(name, np.generic) else name
    inside = plain if isinstance(plain, tuple) else (plain,)
    if not all(isinstance(each, NAMES) for each in inside):
        raise TypeError(f"an index is named by a {type(name).__qualname__}; expected a text or a number")
    return plain
