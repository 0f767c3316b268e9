"""The prediction log is read whole or by its newest window, whatever a crash left in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from workbench.data.contract import Column, Contract
from workbench.errors import BadInput, DataUnreadable, NotFound
from workbench.monitoring import find_request, latest_window, read_predictions
from workbench.serving.scorer.predictions import PredictionLog, Served

Line = Callable[..., str]
WriteLog = Callable[..., Path]


def small_contract(task: str = "binary") -> Contract:
    features = (
        Column(name="age", kind="number", source_type="integer", nullable=True),
        Column(name="job", kind="category", source_type="string", nullable=False, categories=("a", "b")),
    )
    return Contract(features=features, target="y", task=task, classes=("0", "1"), positive="1" if task == "binary" else None)


def test_what_the_service_logs_is_what_monitoring_reads(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, model="credit:v1", digest="d1")
    rows = [{"age": 30.0, "job": "a"}, {"age": None, "job": "b"}]
    scores = [{"0": 0.9, "1": 0.1}, {"0": 0.2, "1": 0.8}]
    log.add(Served(request_id="r-ä-1", rows=rows, predictions=["0", "1"], probabilities=scores))
    log.close()

    window = latest_window(tmp_path)
    assert (window.rows, window.models, window.unreadable) == (2, ("credit:v1",), 0)
    assert window.observed(small_contract()).to_dict(as_series=False) == {
        "age": [30.0, None],
        "job": ["a", "b"],
        "prediction": [0.1, 0.8],
    }
    found = find_request(tmp_path, "r-ä-1")
    assert found is not None
    assert (found["row"], found["digest"], found["features"]) == (0, "d1", rows[0])
    assert found["time"] in (window.first, window.first.replace("000+00:00", "+00:00"))


def test_rows_come_in_the_order_of_their_time_from_every_file_below_the_folder(line: Line, write_log: WriteLog) -> None:
    folder = write_log(
        {
            "v1/b.jsonl": [line(3, {"x": 3.0}), line(1, {"x": 1.0})],
            "v2/a.open.jsonl": [line(2, {"x": 2.0}, model="credit:v2")],
        }
    )
    frame = read_predictions(folder)
    assert frame["features"].struct.field("x").to_list() == [1.0, 2.0, 3.0]
    assert frame["time"].dtype == pl.Datetime("us", "UTC")
    assert latest_window(folder).models == ("credit:v1", "credit:v2")


def test_a_torn_last_line_is_skipped_and_counted(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.open.jsonl": [line(1, {"x": 1.0}), line(2, {"x": 2.0})[:40]]})
    window = latest_window(folder)
    assert (window.rows, window.unreadable) == (1, 1)


def test_broken_lines_inside_a_file_cost_only_themselves(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.jsonl": [line(1, {"x": 1.0}), '{"at": "2026\n', "7\n", "\n", line(2, {"x": 2.0})]})
    window = latest_window(folder)
    assert (window.rows, window.unreadable) == (2, 2)


def test_an_empty_file_that_was_just_opened_does_not_hide_older_ones(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.jsonl": [line(1, {"x": 1.0})], "b.open.jsonl": []})
    os.utime(folder / "a.jsonl", (1, 1))
    assert latest_window(folder, rows=5).rows == 1
    assert find_request(folder, "request-1") is not None


def test_a_window_holds_the_newest_rows_only(line: Line, write_log: WriteLog) -> None:
    folder = write_log({f"{part}.jsonl": [line(10 * part + i, {"x": float(i)}) for i in range(10)] for part in range(5)})
    window = latest_window(folder, rows=15)
    assert (window.rows, window.first, window.last) == (
        15,
        "2026-03-01T00:00:35.000000+00:00",
        "2026-03-01T00:00:49.000000+00:00",
    )


def test_a_window_is_the_same_when_old_files_need_not_be_read(line: Line, write_log: WriteLog) -> None:
    folder = write_log({f"{part}.jsonl": [line(10 * part + i, {"x": float(i)}) for i in range(10)] for part in range(5)})
    for part in range(5):  # each file was finished as its last row was written
        finished = 1772323200 + 10 * part + 9
        os.utime(folder / f"{part}.jsonl", (finished, finished))
    (folder / "0.jsonl").write_text("not a log\n")
    os.utime(folder / "0.jsonl", (1772323209, 1772323209))
    assert latest_window(folder, rows=15).first == "2026-03-01T00:00:35.000000+00:00"
    assert latest_window(folder, since="2026-03-01T00:00:45Z").rows == 5
    assert latest_window(folder, rows=15).unreadable == 0


@pytest.mark.parametrize("since", ["2026-03-01T00:00:02", "2026-03-01T00:00:02Z", "2026-03-01T04:00:02+04:00"])
def test_since_is_understood_in_any_zone_and_as_utc_without_one(line: Line, write_log: WriteLog, since: str) -> None:
    folder = write_log({"a.jsonl": [line(i, {"x": 1.0}) for i in range(5)]})
    assert latest_window(folder, since=since).rows == 3


def test_an_empty_or_missing_folder_says_how_predictions_come_about(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotFound, match="workbench serve"):
            latest_window(folder, rows=5)
        with pytest.raises(NotFound, match="workbench serve"):
            read_predictions(folder)
        assert find_request(folder, "request-1") is None


def test_a_window_after_the_last_prediction_is_not_found(line: Line, write_log: WriteLog) -> None:
    with pytest.raises(NotFound, match="2027"):
        latest_window(write_log({"a.jsonl": [line(1, {"x": 1.0})]}), since="2027-01-01")


def test_a_window_asked_for_wrongly_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least one"):
        latest_window(tmp_path, rows=0)
    with pytest.raises(BadInput, match="yesterday"):
        latest_window(tmp_path, since="yesterday")


def test_lines_that_are_no_predictions_name_the_fields_they_lack(write_log: WriteLog) -> None:
    with pytest.raises(DataUnreadable, match="'features' is missing"):
        read_predictions(write_log({"a.jsonl": ['{"at": "2026-03-01T00:00:00Z"}\n']}))


def test_one_text_among_numbers_reaches_the_schema_check_as_text(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.jsonl": [line(1, {"age": 1.0}), line(2, {"age": "old"})]})
    age = latest_window(folder).observed(small_contract())["age"]
    assert (age.dtype, age[1]) == (pl.String, "old")


def test_labels_are_watched_where_there_is_no_positive_class(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.jsonl": [line(1, {"x": 1.0}, prediction="2"), line(2, {"x": 1.0}, prediction="0")]})
    assert latest_window(folder).observed(small_contract("multiclass"))["prediction"].to_list() == ["2", "0"]


def test_regression_answers_are_watched_as_numbers(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.jsonl": [line(1, {"x": 1.0}, prediction=3, probabilities=None)]})
    assert latest_window(folder).observed(small_contract("regression"))["prediction"].to_list() == [3.0]


def test_a_feature_called_prediction_keeps_its_place(line: Line, write_log: WriteLog) -> None:
    folder = write_log({"a.jsonl": [line(1, {"prediction": 5.0, "time": 1.0, "model": "m"})]})
    assert latest_window(folder).observed(small_contract()).to_dicts() == [{"prediction": 5.0, "time": 1.0, "model": "m"}]


def test_a_request_is_found_by_its_own_id_and_not_by_a_feature_that_mentions_it(line: Line, write_log: WriteLog) -> None:
    folder = write_log(
        {"a.jsonl": [line(1, {"note": "request-2"}), line(2, {"note": "mine"})], "b.open.jsonl": [line(3, {})[:30]]}
    )
    found = find_request(folder, "request-2")
    assert found is not None
    assert found["features"] == {"note": "mine"}
    assert find_request(folder, "request-") is None
    assert find_request(folder, "") is None
