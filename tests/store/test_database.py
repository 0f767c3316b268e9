from __future__ import annotations

import os
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, IntegrityError

from workbench.errors import BadInput, NotFound
from workbench.records import KINDS, Estimate, GroupAssessment, NotebookRun, Record, Saved, body_of, new_id, now

REFUSALS = (DatabaseError, BadInput)


def test_a_record_comes_back_as_it_was_added(control, dataset, follow):
    control.add(dataset)
    control.add(later := follow(dataset.id))
    assert control.get(dataset.id) == dataset
    assert control.find(later.id) == later
    assert control.all() == [dataset, later]
    assert control.all(kind="acceptance") == control.all(parent=dataset.id) == [later]
    assert control.all(run="experiment-1") == []


def test_every_change_leaves_an_audit_row(control, dataset, follow, sql, audited):
    control.add(dataset)
    control.start_run(run="experiment-1", flow="experiment", actor="bob", process=os.getpid())
    control.add(follow(dataset.id, run="experiment-1", id="acceptance-1"))
    control.end_run("experiment-1", actor="bob", failure="a reason")
    named = "SELECT name, action, subject FROM audit JOIN people ON pseudonym = actor ORDER BY sequence"
    assert sql(named) == [
        ("ann", "add dataset", "dataset-1"),
        ("bob", "start run", "experiment-1"),
        ("ann", "add acceptance", "acceptance-1"),
        ("bob", "run failed", "experiment-1"),
    ]
    assert audited() == 4


def test_adding_an_id_again_changes_nothing(control, dataset, audited):
    control.add(dataset)
    control.add(dataset)
    assert len(control.all()) == audited() == 1


@pytest.mark.parametrize("table", ["records", "audit"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET actor = 'eve'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_rewrite_history(control, dataset, sql, table, statement):
    control.add(dataset)
    with pytest.raises(DatabaseError, match=f"{table} is append-only"):
        sql(statement.format(table))
    with pytest.raises(REFUSALS), control.write(actor="eve", action="rewrite", subject=table) as connection:
        connection.execute(text(statement.format(table)))
    assert control.all() == [dataset]
    assert sql("SELECT name FROM audit JOIN people ON pseudonym = actor") == [("ann",)]


def test_the_database_itself_refuses_to_forget_a_run_or_to_end_it_twice(control, sql):
    control.start_run(run="experiment-1", flow="experiment", actor="ann", process=os.getpid())
    control.end_run("experiment-1", actor="ann", failure="the first reason")
    with pytest.raises(DatabaseError, match="runs are kept"):
        sql("DELETE FROM runs")
    with pytest.raises(DatabaseError, match="a run ends once"):
        sql("UPDATE runs SET state = 'succeeded', reason = NULL")
    assert control.runs()[0].reason == "the first reason"


def test_of_several_ends_the_first_is_kept(control, audited):
    control.start_run(run="experiment-1", flow="experiment", actor="ann", process=os.getpid())
    control.end_run("experiment-1", actor="ann", failure="the first reason")
    control.end_run("experiment-1", actor="ann", failure="what went wrong because of it")
    control.end_run("experiment-1", actor="ann")
    run = control.runs()[0]
    assert (run.state, run.reason) == ("failed", "the first reason")
    assert run.finished is not None
    assert audited() == 2


def start(control, *, process=None, again=False):
    run = {"run": "experiment-1", "flow": "experiment", "actor": "ann"}
    control.start_run(**run, process=os.getpid() if process is None else process, again=again)


def test_a_step_that_is_tried_again_opens_its_failed_run_again(control):
    for failure in ("the network was away", None):
        start(control, again=failure is None)
        assert control.runs()[0].state == "running"
        control.end_run("experiment-1", actor="ann", failure=failure)
    assert (control.runs()[0].state, control.runs()[0].reason) == ("succeeded", None)


@pytest.mark.parametrize(("failure", "again"), [("too few rows", False), (None, False), (None, True)])
def test_a_run_that_ended_is_left_alone_by_the_steps_that_outlive_it(control, audited, failure, again):
    start(control)
    control.end_run("experiment-1", actor="ann", failure=failure)
    ended, changes = control.runs(), audited()
    start(control, again=again)
    assert control.runs() == ended
    assert audited() == changes


def test_a_run_is_found_by_its_id(control):
    start(control)
    assert control.find_run("experiment-1") == control.runs()[0]
    assert control.find_run("experiment-2") is None


def test_the_steps_of_one_run_start_it_once(control, audited):
    for _ in range(3):
        control.start_run(run="experiment-1", flow="experiment", actor="ann", process=os.getpid())
    assert len(control.runs()) == audited() == 1


def test_an_unknown_run_cannot_end(control, audited):
    with pytest.raises(NotFound, match="no run 'experiment-9'"):
        control.end_run("experiment-9", actor="ann")
    assert audited() == 0


def test_runs_are_listed_newest_first_and_by_flow(control):
    for run in ("experiment-1", "watch-2", "experiment-3"):
        control.start_run(run=run, flow=run.partition("-")[0], actor="ann", process=os.getpid())
    assert [run.id for run in control.runs()] == ["experiment-3", "watch-2", "experiment-1"]
    assert [run.id for run in control.runs(flow="experiment", limit=1)] == ["experiment-3"]


def test_a_failure_inside_a_write_leaves_neither_the_change_nor_its_audit_row(control, dataset, sql, audited):
    control.add(dataset)
    statement = "INSERT INTO runs VALUES ('r', 'f', 'running', 'a', 'now', NULL, 'h', 1, '0', NULL)"
    with (
        pytest.raises(RuntimeError, match="on the way"),
        control.write(actor="ann", action="start run", subject="r") as connection,
    ):
        connection.execute(text(statement))
        raise RuntimeError("on the way")
    assert (len(control.all()), audited()) == (1, 1)
    assert control.runs() == []


def test_a_chain_starts_at_a_dataset(control, dataset, follow, audited):
    with pytest.raises(IntegrityError):
        control.add(follow(None))
    control.add(dataset)
    with pytest.raises(IntegrityError):
        control.add(type(dataset)(**{**fields_of(dataset), "id": "dataset-2", "parent": "dataset-1"}))
    assert len(control.all()) == audited() == 1


def fields_of(record):
    return {name: getattr(record, name) for name in get_type_hints(type(record)) if name != "kind"}


@pytest.mark.parametrize("reference", ["parent", "run"])
def test_a_record_that_names_an_unknown_parent_or_run_is_refused(control, dataset, follow, reference, audited):
    control.add(dataset)
    with pytest.raises(NotFound, match="names 'nowhere-1', which is unknown"):
        control.add(follow(**{"parent": dataset.id, reference: "nowhere-1"}))
    assert len(control.all()) == audited() == 1


@pytest.mark.parametrize("column", ["parent", "run"])
def test_foreign_keys_are_in_force(control, dataset, column):
    control.add(dataset)
    statement = (
        "INSERT INTO records (id, kind, parent, run, actor, at, zone, revision, body) "
        "VALUES ('x', 'acceptance', :parent, :run, 'a', 'now', 'z', 'r', '{}')"
    )
    with pytest.raises(IntegrityError), control.write(actor="ann", action="add", subject="x") as connection:
        connection.execute(text(statement), {"parent": "dataset-1", "run": None, column: "nowhere-1"})


def test_an_unknown_id_names_the_closest_one(control, dataset):
    control.add(dataset)
    with pytest.raises(NotFound) as caught:
        control.get("dataset-2")
    assert caught.value.hint == "Did you mean 'dataset-1'?"


def test_a_number_that_json_cannot_hold_is_refused_before_anything_is_written(control, dataset, audited):
    with pytest.raises(ValueError, match="JSON"):
        control.add(type(dataset)(**{**fields_of(dataset), "rows": float("nan")}))
    assert audited() == 0


def values_for(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a record's field, as it comes back from JSON."""
    texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
    plain = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=4,
    )
    known = {
        str: texts,
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
        Any: plain,
    }
    if hint in known:
        return known[hint]
    if hint in (Estimate, GroupAssessment, NotebookRun, Saved):
        return st.builds(hint, **{name: values_for(kind) for name, kind in get_type_hints(hint).items()})
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return st.lists(values_for(arguments[0]), max_size=2).map(tuple)
    if isinstance(origin, type) and issubclass(dict, origin):
        return st.dictionaries(texts, values_for(arguments[1]), max_size=2)
    if str(origin) == "typing.Literal":
        return st.sampled_from(arguments)
    return st.one_of([values_for(argument) for argument in arguments])


def records() -> st.SearchStrategy[Record]:
    names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)

    def of(kind: type[Record]) -> st.SearchStrategy[Record]:
        hints = get_type_hints(kind)
        common = {
            "id": st.builds(new_id, st.just(kind.kind)),
            "at": st.builds(now),
            "actor": names,
            "zone": names,
            "revision": names,
        }
        parent = st.just(None if kind.kind == "dataset" else "dataset-1")
        return st.builds(kind, parent=parent, **common, **{name: values_for(hints[name]) for name in body_of(kind)})

    return st.one_of([of(kind) for kind in KINDS.values()])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(record=records())
def test_any_record_round_trips(control, dataset, record):
    control.add(dataset)
    control.add(record)
    assert control.get(record.id) == record
