"""Only what differs from run to run is taken out of an executed notebook before it is compared."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.conformance.comparing import compare
from tests.conformance.normalising import normalised, normalised_text

STATES = "application/vnd.jupyter.widget-state+json"


def notebook(*outputs: dict[str, Any], source: str = "x", **metadata: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": "one", "source": source, "execution_count": 1, "outputs": list(outputs), "metadata": {}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def run(executed: dict[str, Any] | None, error: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"notebook": executed, "error": error}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<object at 0x7f3c5a1b2d30>", "<object at 0x7f0000000010>"),
        ("ipykernel_12/1.py:1: UserWarning", "ipykernel_9876/1.py:1: UserWarning"),
        ("CPU times: user 2 ms", "CPU times: user 3 ms"),
        ("100%|##| 3/3 [00:00<00:00, 732.71it/s]", "100%|##| 3/3 [00:01<00:00, 2.1it/s]"),
        ("12 μs ± 1 ns per loop", "3.5 ms ± 10 μs per loop"),
        ("saved in tmpab12cd34", "saved in tmpzz_2cd99"),
    ],
)
def test_addresses_times_and_process_ids_do_not_count(one: str, other: str) -> None:
    assert normalised_text(one) == normalised_text(other)


@pytest.mark.parametrize(("one", "other"), [("0x1f", "0x2f"), ("took 3 s", "took 4 s"), ("thread 1", "thread 2"), ("3/3", "2/3")])
def test_other_numbers_count(one: str, other: str) -> None:
    assert normalised_text(one) != normalised_text(other)


def test_random_ids_may_differ_but_what_they_link_may_not() -> None:
    a, b, c, d = (uuid.uuid4().hex for _ in range(4))
    linked = normalised(notebook(stream(f"{a} {b} {a}")))
    assert linked == normalised(notebook(stream(f"{c} {d} {c}")))
    assert linked != normalised(notebook(stream(f"{c} {d} {d}")))


def test_where_a_stream_was_cut_does_not_count_but_the_order_of_streams_does() -> None:
    whole = normalised(notebook(stream("ab"), stream("e", "stderr"), stream("c")))
    assert whole == normalised(notebook(stream("a"), stream("b"), stream("e", "stderr"), stream("c")))
    assert whole != normalised(notebook(stream("ab"), stream("c"), stream("e", "stderr")))


def test_widget_states_are_compared_by_what_the_cells_show() -> None:
    def saved(parent: str, child: str, value: int) -> dict[str, Any]:
        states = {child: {"state": {"value": value}}, parent: {"state": {"children": [f"IPY_MODEL_{child}"]}}}
        shown = {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {"model_id": parent}}}
        return notebook(shown, widgets={STATES: {"state": states, "version_major": 2, "version_minor": 0}})

    first, second, third, fourth = sorted(uuid.uuid4().hex for _ in range(4))
    assert normalised(saved(first, second, 1)) == normalised(saved(fourth, third, 1))
    assert normalised(saved(first, second, 1)) != normalised(saved(fourth, third, 2))


def test_a_cell_that_differs_is_counted_and_quoted_where_it_differs() -> None:
    found = compare("name", run(notebook(stream("x" * 500 + "left"))), run(notebook(stream("x" * 500 + "right"))))
    assert (found.cells, found.equal) == (1, 0)
    (difference,) = found.differences
    assert (difference.place, difference.what) == ("one", "outputs[0]")
    assert "left" in difference.stock
    assert "right" in difference.ours


def test_a_missing_cell_is_not_equal() -> None:
    shorter = notebook()
    shorter["cells"] = []
    found = compare("name", run(notebook()), run(shorter))
    assert (found.cells, found.equal) == (1, 0)
    assert "cells" in {each.place for each in found.differences}


def test_another_exception_or_message_is_a_difference() -> None:
    left, right = {"type": "ValueError", "message": "a", "fields": {}}, {"type": "ValueError", "message": "b", "fields": {}}
    assert compare("name", run(notebook(), left), run(notebook(), left)).differences == ()
    assert [each.place for each in compare("name", run(notebook(), left), run(notebook(), right)).differences] == ["error"]


def test_our_engines_own_metadata_and_times_do_not_count() -> None:
    ours = notebook(workbench={"kernel": "warm"}, papermill={"duration": 1.5, "version": "2"})
    stock = notebook(papermill={"duration": 3.0, "version": "2"})
    assert compare("name", run(stock), run(ours)).differences == ()
    assert compare("name", run(notebook(papermill={"version": "3"})), run(ours)).differences != ()
