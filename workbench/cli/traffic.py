"""The demo's clients: real rows sent one by one to the served model, first as they come, then from a shifted population."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import polars as pl

from workbench.data.frames import read_frame
from workbench.errors import RunFailed
from workbench.records import PreparedData
from workbench.settings import Layout
from workbench.store import Objects, open_control

__all__ = ["ask", "natural_rows", "shifted_rows"]

SEED = 7


def natural_rows(layout: Layout, count: int) -> list[dict[str, Any]]:
    """Test rows in random order, as the holdout has them."""
    return _sample(_holdout(layout), count)


def shifted_rows(layout: Layout, count: int) -> list[dict[str, Any]]:
    """Test rows of customers who were late with their last payment: what a lender sees when times turn hard."""
    return _sample(_holdout(layout).filter(pl.col("PAY_1") >= 1), count)


def _sample(rows: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    return rows.sample(count, with_replacement=count > rows.height, shuffle=True, seed=SEED).to_dicts()


def _holdout(layout: Layout) -> pl.DataFrame:
    with open_control(layout) as control:
        prepared = [record for record in control.all(kind="prepared") if isinstance(record, PreparedData)][-1]
    frame = read_frame(Objects(layout.objects).path(prepared.saved["holdout"].digest))
    return frame.drop("default_next_month")


def ask(url: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Sends each row as a request of its own; returns the last request's id.

    Raises:
        RunFailed: the service did not answer one with 200.
    """
    request = ""
    with httpx.Client(base_url=url, timeout=30) as client:
        for row in rows:
            request = str(uuid.uuid4())
            answer = client.post("/predict", json={"rows": [row]}, headers={"X-Request-ID": request})
            if answer.status_code != httpx.codes.OK:
                raise RunFailed(f"a request was answered {answer.status_code}: {answer.text}", hint="Read the service's log.")
    return request
