"""Keeps the exact rows a journey starts from, and records them as a dataset version. Called by `workbench init` and every run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

import polars as pl

from workbench.data.reading import read_table
from workbench.records import DatasetVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.project import Project
    from workbench.settings import Layout
    from workbench.store import Control, Objects

__all__ = ["register"]


def register(
    project: Project, layout: Layout, control: Control, objects: Objects, *, actor: str, revision: str
) -> DatasetVersion:
    """Reads the project's source, stores its rows as Parquet, and records the version; the same rows give the same record.

    Raises:
        DataUnreadable: the source is not a readable table; nothing is recorded.
    """
    frame = read_table(layout.root / project.dataset.source)
    digest, _ = objects.write(lambda path: frame.rechunk().write_parquet(path, compression="zstd"))
    version = DatasetVersion(
        id=_id(frame, project),
        parent=None,
        actor=actor,
        zone=project.dataset.zone,
        revision=revision,
        name=project.name,
        source=project.dataset.source,
        digest=digest,
        rows=frame.height,
        columns=_types(frame),
        owner=project.dataset.owner,
        purpose=project.dataset.purpose,
    )
    control.add(version)
    return cast("DatasetVersion", control.get(version.id))


def _types(frame: pl.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in frame.schema.items()}


def _id(frame: pl.DataFrame, project: Project) -> str:
    """Derived from the values, what they are called, and who answers for them, where and for what.

    Not from the digest of the stored file: Parquet carries the version of its writer, and an upgrade makes no new data.
    """
    dataset = project.dataset
    described = [project.name, dataset.zone, dataset.owner, dataset.purpose, frame.height, list(_types(frame).items())]
    digest = hashlib.sha256(json.dumps(described).encode())
    for name in frame.columns:
        for part in _bytes_of(frame[name]):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return f"dataset-{digest.hexdigest()[:16]}"


def _bytes_of(column: pl.Series) -> Iterator[bytes]:
    """One byte sequence for equal values, whatever lies in memory behind a null or between chunks."""
    yield column.is_null().to_numpy().tobytes()
    if column.dtype == pl.String:
        texts = column.fill_null("")
        yield texts.str.len_bytes().to_numpy().astype("<u4").tobytes()
        yield "".join(texts).encode()
    elif column.dtype == pl.Boolean:
        yield column.fill_null(False).to_numpy().tobytes()
    elif column.dtype.is_numeric() or column.dtype.is_temporal():
        numbers = column.to_physical().fill_null(0).to_numpy()
        yield numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    else:
        yield repr(column.to_list()).encode()
