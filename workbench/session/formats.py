"""One format for each type of value: what `session.values` writes a value as, and how each stored file is read.

Frames, arrays and tensors are stored as they lie in memory and mapped when loaded, so that a gigabyte is handed on as fast as
it can be hashed. Files are never changed: what may be changed in memory is mapped copy-on-write. Nothing is pickled.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from workbench.data.contract import Contract
from workbench.data.frames import MAPPED, read_frame, write_frame
from workbench.session.parts import write_raw
from workbench.session.tensors import is_tensors, read_tensors, write_tensors
from workbench.store import Objects

__all__ = ["READERS", "Format", "as_json", "format_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to store a value: its name in records, which values it takes, and how it writes them to the object store."""

    name: str
    takes: Callable[[object], bool]
    write: Callable[[Objects, Any], tuple[str, int]]


def format_of(value: object) -> Format:
    """The format that a value is stored in: the first that takes it; the last takes all."""
    return next(candidate for candidate in FORMATS if candidate.takes(value))


def as_json(value: object) -> bytes:
    """A value as JSON; numpy numbers and records become numbers and objects, NaN becomes null.

    Raises:
        TypeError: something inside has no JSON form.
    """
    return msgspec.json.encode(value, enc_hook=_numpy_to_plain)


def _numpy_to_plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _is_a(module: str, name: str) -> Callable[[object], bool]:
    """Recognises a type without loading its library: where that is not loaded, nothing is of the type."""
    return lambda value: module in sys.modules and isinstance(value, getattr(sys.modules[module], name))


def _is_model(value: object) -> bool:
    return hasattr(value, "predict") and hasattr(value, "get_params")


def _write_pandas(objects: Objects, frame: Any) -> tuple[str, int]:
    from workbench.session.pandas_frames import write_pandas  # loads pandas

    return objects.stream(lambda stream: write_pandas(frame, stream))


def _read_pandas(path: Path) -> object:
    from workbench.session.pandas_frames import read_pandas  # loads pandas

    return read_pandas(path)


def _read_pandas_parquet(path: Path) -> object:
    import pandas as pd

    return pd.read_parquet(path)


def _write_array(objects: Objects, array: np.ndarray[Any, Any]) -> tuple[str, int]:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("its mask would be lost; fill it, or save mask and data")
    return objects.stream(lambda stream: _save(array, stream))


def _save(array: np.ndarray[Any, Any], stream: IO[bytes]) -> None:
    """Writes what `numpy.save` does, but a large array from its own memory, which `save` would copy piece by piece."""
    if array.dtype.hasobject or array.dtype.names or array.ndim == 0:
        np.save(stream, array, allow_pickle=False)
    else:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
        write_raw(array, stream)


def _read_array(path: Path) -> object:
    if path.stat().st_size < MAPPED:
        return np.load(path, allow_pickle=False)
    return np.load(path, mmap_mode="c", allow_pickle=False).view(np.ndarray)


def _write_model(objects: Objects, model: object) -> tuple[str, int]:
    from workbench.serving.formats import write_model  # loads scikit-learn and skops

    return objects.write(lambda path: write_model(model, path))


def _read_model(path: Path) -> object:
    from workbench.serving.formats import read_model  # loads scikit-learn and skops

    return read_model(path)


FORMATS = (
    Format(
        "polars.arrow",
        _is_a("polars", "DataFrame"),
        lambda objects, frame: objects.stream(lambda stream: write_frame(frame, stream)),
    ),
    Format("pandas.parts", _is_a("pandas", "DataFrame"), _write_pandas),
    Format("array.npy", lambda value: isinstance(value, np.ndarray), _write_array),
    Format("torch.safetensors", is_tensors, write_tensors),
    Format(
        "file",
        lambda value: isinstance(value, Path),
        lambda objects, source: objects.write(lambda path: shutil.copyfile(source, path)),
    ),
    Format(
        "contract.json",
        lambda value: isinstance(value, Contract),
        lambda objects, contract: objects.write_bytes(msgspec.json.encode(contract)),
    ),
    Format("model.skops", _is_model, _write_model),
    Format("value.json", lambda _value: True, lambda objects, value: objects.write_bytes(as_json(value))),
)

READERS: Mapping[str, Callable[[Path], object]] = {
    "polars.arrow": read_frame,
    "polars.parquet": read_frame,  # datasets and windows, and what earlier versions saved
    "pandas.parts": _read_pandas,
    "pandas.parquet": _read_pandas_parquet,  # likewise
    "array.npy": _read_array,
    "torch.safetensors": read_tensors,
    "file": lambda path: path,
    "contract.json": lambda path: msgspec.json.decode(path.read_bytes(), type=Contract),
    "model.skops": _read_model,
    "value.json": lambda path: msgspec.json.decode(path.read_bytes()),
}
