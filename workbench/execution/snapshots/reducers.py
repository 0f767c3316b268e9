"""How values are written that pickle would copy, cut off from what they share, or fail to restore. Called by `pickling`."""

from __future__ import annotations

import copyreg
import functools
import io
import sys
import typing
import weakref
from collections.abc import Callable
from typing import Any

from workbench.execution.snapshots import tensors
from workbench.execution.snapshots.objections import CannotCarryError

__all__ = ["reducers"]

_Reducer = Callable[[Any], Any]


def reducers() -> dict[type, _Reducer]:
    """The reducer of each type that needs one, for the libraries loaded now; it may return NotImplemented."""
    known: dict[type, _Reducer] = {
        functools._lru_cache_wrapper: _reduce_cached,
        typing.NewType: lambda new: (typing.NewType, (new.__name__, new.__supertype__)),
        weakref.WeakKeyDictionary: _reduce_weak_mapping,  # what functools.singledispatch keeps its choices in
        weakref.WeakValueDictionary: _reduce_weak_mapping,
        io.TextIOWrapper: _reduce_closed_file,
        io.BufferedReader: _reduce_closed_file,
        io.BufferedWriter: _reduce_closed_file,
        io.BufferedRandom: _reduce_closed_file,
    }
    if numpy := sys.modules.get("numpy"):
        known[numpy.ndarray] = _reduce_array
    if polars := sys.modules.get("polars"):
        known[polars.DataFrame] = _reduce_frame
        known[polars.Series] = _reduce_series
        known[polars.LazyFrame] = known[polars.Expr] = _reduce_plan
    if torch := sys.modules.get("torch"):
        known |= tensors.reducers(torch)
    return known


def _reduce_cached(function: Any) -> Any:
    """A cached function of the notebook: pickle knows it by a name that does not exist yet when it is restored."""
    if getattr(function, "__module__", None) != "__main__":
        return NotImplemented
    parameters = function.cache_parameters()
    return _cached, (function.__wrapped__, parameters["maxsize"], parameters["typed"])


def _cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def _reduce_weak_mapping(mapping: Any) -> Any:
    return type(mapping), (), None, None, iter(list(mapping.items()))


def _reduce_closed_file(file: Any) -> Any:
    return _closed_file, (type(file), getattr(file, "name", None), getattr(file, "mode", None))


def _closed_file(kind: Callable[[io.BytesIO], Any], name: object, mode: object) -> Any:
    raw: Any = io.BytesIO()
    raw.name, raw.mode = name, mode
    file = kind(raw)
    if kind is io.TextIOWrapper:
        file.mode = mode
    file.close()
    return file


def _reduce_array(array: Any) -> Any:
    """A view of another array, written as that: what is written to one of them must show in the other."""
    base = array.base
    if type(base) is not type(array) or not base.flags.forc or not array.size:
        return NotImplemented
    if (array.dtype.hasobject or base.dtype.hasobject) and array.dtype != base.dtype:
        return NotImplemented
    offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return _array_view, (base, array.dtype, array.shape, array.strides, offset, array.flags.writeable)


def _array_view(base: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, writeable: bool) -> Any:
    import numpy as np

    flat = base.ravel(order="K")  # a view, since the base is contiguous
    if dtype.hasobject:
        array = np.lib.stride_tricks.as_strided(flat[offset // dtype.itemsize :], shape, strides)
    else:
        array = np.ndarray(shape, dtype, flat, offset, strides)
    if not writeable:
        array.flags.writeable = False
    return array


def _reduce_frame(frame: Any) -> Any:
    """A frame as Arrow, whose memory it shares, where Arrow can tell its column types; else as polars pickles it: a copy."""
    import polars as pl
    import pyarrow as pa

    newest = pl.CompatLevel.newest()
    try:
        empty: Any = pl.from_arrow(frame.clear().to_arrow(compat_level=newest))
        faithful = bool(frame.width) and empty.schema == frame.schema
    except (pa.ArrowException, pl.exceptions.PolarsError):
        faithful = False
    return (_frame, (frame.to_arrow(compat_level=newest),)) if faithful else NotImplemented


def _frame(table: Any) -> Any:
    import polars as pl

    return pl.from_arrow(table, rechunk=False)


def _reduce_series(series: Any) -> Any:
    return _series, (series.to_frame(),)


def _series(frame: Any) -> Any:
    return frame.to_series()


def _reduce_plan(plan: Any) -> Any:
    """A lazy frame or an expression, as polars pickles it.

    Raises:
        CannotCarryError: it calls a function of the notebook. polars pickles that one itself, cut off from the namespace.
    """
    state = plan.__getstate__()
    if b"PLPYFN" in state and b"__main__" in state:
        raise CannotCarryError("polars cannot keep the notebook's own function in a query plan; collect() it, or define it later")
    return copyreg.__newobj__, (type(plan),), state  # type: ignore[attr-defined]  # what pickle itself uses
