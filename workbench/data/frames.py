"""Polars frames as Arrow files that are mapped, not read; used by saved values and by whoever reads one that a step saved."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MAPPED", "read_frame", "write_frame"]

MAPPED = 1 << 20
ROWS = 1 << 20


def write_frame(frame: pl.DataFrame, stream: IO[bytes]) -> None:
    """Writes a frame as an Arrow IPC file, uncompressed: the columns' buffers as they lie in memory.

    Polars sends one column of at most `ROWS` rows at a time, which is all that is ever copied, and leaves out texts that a
    filter left unused in a column's buffers.

    Raises:
        PolarsError: a column holds Python objects.
    """
    frame.write_ipc(stream, compression="uncompressed", record_batch_size=ROWS)


def read_frame(path: Path) -> pl.DataFrame:
    """A frame of an Arrow or a Parquet file. Arrow's columns are read-only pages of the file, which polars copies to change them.

    Files below `MAPPED` bytes are read instead, so that many small frames hold no mappings.
    """
    import polars as pl
    import pyarrow as pa

    with path.open("rb") as stream:
        if stream.read(4) == b"PAR1":
            return pl.read_parquet(path)
    try:
        if path.stat().st_size < MAPPED:
            table = pa.ipc.open_file(path.read_bytes()).read_all()
        else:
            with pa.memory_map(str(path)) as mapped:
                table = pa.ipc.open_file(mapped).read_all()
    except pa.ArrowNotImplementedError:  # 128-bit integers, which only polars knows
        return pl.read_ipc(path)
    return cast("pl.DataFrame", pl.from_arrow(table, rechunk=False))
