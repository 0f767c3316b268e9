from __future__ import annotations

from .conftest import Judge, cell, only, printed, prose, raised, rules, shown


def test_cells_that_ran_from_top_to_bottom_get_the_full_score(judge: Judge) -> None:
    report = judge(cell("x = 1", 1), prose("x"), cell("", None), cell("x", 2, shown(2, text_plain="1")))
    assert report.findings == ()


def test_a_notebook_without_outputs_has_no_order(judge: Judge) -> None:
    assert judge("x = 1", "y = 2").findings == ()


def test_a_cell_that_ran_before_one_above_it_is_out_of_order(judge: Judge) -> None:
    report = judge(cell("x = 1", 2), cell("y = 1", 1), cell("z = 1", 3))
    assert rules(report) == ["out-of-order"]
    found = report.findings[0]
    assert (found.cell, found.message) == (2, "ran as [1], before cell 1 above it, which ran as [2]")
    assert report.score == 95


def test_missing_counts_are_told_once_with_how_many(judge: Judge) -> None:
    report = judge(cell("x = 1", 3), cell("y = 1", 4), cell("z = 1", 6))
    assert rules(report) == ["skipped-counts"]
    assert "count 1 to 2 is missing before it, and 1 more gaps" in report.findings[0].message


def test_a_cell_that_never_ran_above_one_that_did_is_told(judge: Judge) -> None:
    report = judge(cell("x = 1", 1), "y = 2", cell("z = 3", 2), "w = 4")
    assert [(found.rule, found.cell) for found in report.findings] == [("not-executed", 2)]


def test_the_same_count_twice_means_two_kernels(judge: Judge) -> None:
    assert rules(judge(cell("x = 1", 1), cell("y = 1", 1))) == ["mixed-sessions"]


def test_outputs_without_a_count_are_told_once(judge: Judge) -> None:
    report = judge(cell("print(1)", None, printed("1")), cell("print(2)", None, printed("2")))
    assert rules(report) == ["outputs-without-counts"]
    assert "1 more cells too" in report.findings[0].message


def test_outputs_that_cannot_come_from_the_source_tell_of_an_edit(judge: Judge) -> None:
    for edited in (
        cell("x = 1", 1, shown(1, text_plain="1")),
        cell("1", 1, shown(7, text_plain="1")),
        cell(" ", None, printed("1")),
    ):
        assert "edited-since-run" in rules(judge(edited))


def test_a_magic_may_show_a_result(judge: Judge) -> None:
    assert judge(cell("%timeit -o 1", 1, shown(1, text_plain="<TimeitResult>"))).findings == ()
    assert judge(cell("%%time\n1", 1, shown(1, text_plain="1"))).findings == ()


def test_a_notebook_saved_with_an_error_is_not_trusted_unless_the_cell_is_tagged(judge: Judge) -> None:
    assert only(judge(cell("1 / 0", 1, raised("ZeroDivisionError"))), "saved-error").severity == "error"
    assert judge(cell("1 / 0", 1, raised("ZeroDivisionError"), tags=("raises-exception",))).findings == ()
