"""How each kind of value is stored without pickle: frames as Parquet, arrays as npy, models as skops, the rest as JSON."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
from polars.exceptions import PolarsError

from workbench.data.contract import Contract
from workbench.errors import BadInput, PackagingFailed
from workbench.records import Saved
from workbench.store.objects import Objects

__all__ = ["plain", "read_value", "write_value"]


@dataclass(frozen=True, slots=True)
class _Format:
    """One way to store a value: which values it takes, how it writes and reads them."""

    takes: Callable[[object], bool]
    write: Callable[[Any, Path], object]
    read: Callable[[Path], object]


def _write_array(value: np.ndarray[Any, Any], path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    path.write_bytes(buffer.getvalue())


def _is_model(value: object) -> bool:
    return hasattr(value, "predict") and hasattr(value, "get_params")


def _write_model(value: object, path: Path) -> None:
    from workbench.serving.formats import write_model  # loads scikit-learn and skops

    write_model(value, path)


def _read_model(path: Path) -> object:
    from workbench.serving.formats import read_model  # loads scikit-learn and skops

    return read_model(path)


FORMATS: Mapping[str, _Format] = {
    "polars.parquet": _Format(
        lambda value: isinstance(value, pl.DataFrame),
        lambda frame, path: frame.write_parquet(path, compression="zstd"),
        pl.read_parquet,
    ),
    "pandas.parquet": _Format(
        lambda value: isinstance(value, pd.DataFrame), lambda frame, path: frame.to_parquet(path), pd.read_parquet
    ),
    "array.npy": _Format(
        lambda value: isinstance(value, np.ndarray),
        _write_array,
        lambda path: np.load(path, allow_pickle=False),
    ),
    "file": _Format(lambda value: isinstance(value, Path), shutil.copyfile, lambda path: path),
    "contract.json": _Format(
        lambda value: isinstance(value, Contract),
        lambda contract, path: path.write_bytes(msgspec.json.encode(contract)),
        lambda path: msgspec.json.decode(path.read_bytes(), type=Contract),
    ),
    "model.skops": _Format(_is_model, _write_model, _read_model),
    "value.json": _Format(
        lambda _value: True,
        lambda value, path: path.write_bytes(_json(value)),
        lambda path: msgspec.json.decode(path.read_bytes()),
    ),
}


def plain(value: object) -> Any:
    """A value as plain JSON types; numpy numbers and records become numbers and objects, NaN becomes null.

    Raises:
        TypeError: something inside has no JSON form.
    """
    return msgspec.json.decode(_json(value))


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=_numpy_to_plain)


def _numpy_to_plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def write_value(objects: Objects, name: str, value: object) -> Saved:
    """Stores one value under its natural format.

    Raises:
        BadInput: the value cannot be stored; the message names it and its type.
    """
    format_name = next(key for key, candidate in FORMATS.items() if candidate.takes(value))
    try:
        digest, size = objects.write(lambda path: FORMATS[format_name].write(value, path))
    except (TypeError, ValueError, PolarsError, PackagingFailed, FileNotFoundError, IsADirectoryError) as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise BadInput(
            f"session.save({name}=…) was given a {kind}, which cannot be stored: {error}",
            hint="Save a frame, an array, a fitted scikit-learn model, a file, or plain numbers, texts, lists and mappings.",
        ) from error
    return Saved(name=name, format=format_name, digest=digest, size=size)


def read_value(objects: Objects, saved: Saved) -> object:
    """Reads a stored value back as the type it was saved from."""
    return FORMATS[saved.format].read(objects.path(saved.digest))
