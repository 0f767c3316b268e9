from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workbench.execution.checking import check_notebook
from workbench.execution.checking.comparison import first_difference

from .conftest import Write, cell, only, printed, raised, rules, shown


def differ(old: str, new: str, tolerance: float = 1e-6) -> bool:
    return first_difference([printed(old)], [printed(new)], tolerance=tolerance) is not None


def picture(colour: int, *, size: tuple[int, int] = (40, 30), spot: int = 0) -> dict[str, Any]:
    image = Image.new("RGB", size, (colour, colour, colour))
    image.paste((255, 0, 0), (0, 0, spot, spot))
    stream = io.BytesIO()
    image.save(stream, "png")
    return shown(1, image_png=base64.b64encode(stream.getvalue()).decode(), text_plain="<Figure>")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<f at 0x7f01aa>", "<f at 0x7f99bb>"),
        ("loss 0.12345678", "loss 0.12345679"),
        ("1e-17", "0.0"),
        (" 50%|##  | 5/10 [00:01<00:01]\r100%|####| 10/10 [00:03<00:00]\ndone", "100%|####| 10/10 [00:09<00:00]\ndone"),
        ("CPU times: user 2 ms\nWall time: 3 ms\n7", "CPU times: user 9 ms\nWall time: 8 ms\n7"),
        ("1.2 µs ± 3 ns per loop (mean)", "7 µs ± 1 ns per loop (mean)"),
        ("a    b\n---- ---\n1    2", "a  b\n--- ----\n1  2"),
    ],
)
def test_what_varies_without_meaning_is_no_difference(old: str, new: str) -> None:
    assert not differ(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("accuracy 0.91", "accuracy 0.92"),
        ("1000000 rows", "1000001 rows"),
        ("yes", "no"),
        ("a", "a b"),
        ("x1", "x2"),
        ("-1.5", "1.5"),
    ],
)
def test_another_number_or_word_is_a_difference(old: str, new: str) -> None:
    assert differ(old, new)
    assert differ(new, old)


@settings(deadline=None)
@given(st.floats(1e-3, 1e12), st.floats(-5e-4, 5e-4))
def test_the_tolerance_is_a_share_of_the_number(number: float, change: float) -> None:
    assert not differ(f"v={number!r}", f"v={number * (1 + change)!r}", tolerance=1e-3)
    assert differ(f"v={number!r}", f"v={number * 1.01!r}", tolerance=1e-3)


@settings(deadline=None)
@given(st.text())
def test_a_text_never_differs_from_itself(text: str) -> None:
    assert not differ(text, text)


def test_pieces_of_output_are_joined_and_standard_error_is_left_out() -> None:
    old = [printed("a\n"), printed("warning 1", "stderr"), printed("b\n")]
    assert first_difference(old, [printed("a\nb\n"), printed("warning 2", "stderr")], tolerance=0) is None


def test_a_difference_names_the_stored_output_and_what_stands_in_both() -> None:
    found = first_difference(
        [printed("x"), shown(1, text_plain="rows 3")], [printed("x"), shown(1, text_plain="rows 4")], tolerance=0
    )
    assert found is not None
    assert (found.output, found.what) == (2, "stored 'rows 3', rerun 'rows 4'")


def test_more_fewer_or_other_outputs_are_differences() -> None:
    for fresh in ([], [printed("x"), shown(1, text_plain="1")], [raised("ValueError")], [shown(1, text_plain="x")]):
        assert first_difference([printed("x")], fresh, tolerance=0) is not None


def test_tables_and_drawings_are_compared_without_their_random_ids() -> None:
    def table(name: str, value: str) -> dict[str, Any]:
        return shown(1, text_html=f'<style>#{name}{{}}</style><table id="{name}"><td class="{name}">{value}</td></table>')

    def drawing(name: str, height: int) -> dict[str, Any]:
        drawn = shown(1)
        drawn["data"]["image/svg+xml"] = (
            f'<svg><metadata>{name}</metadata><path id="{name}" d="M{height}" clip="url(#{name})"/></svg>'
        )
        return drawn

    assert first_difference([table("T_1", "3.5")], [table("T_2", "3.5")], tolerance=0) is None
    assert first_difference([table("T_1", "3.5")], [table("T_1", "3.6")], tolerance=0) is not None
    assert first_difference([drawing("p1", 3)], [drawing("p2", 3)], tolerance=0) is None
    found = first_difference([drawing("p1", 3)], [drawing("p1", 4)], tolerance=0)
    assert found is not None
    assert found.picture


def test_pictures_are_compared_by_their_pixels() -> None:
    assert first_difference([picture(100)], [picture(104)], tolerance=0) is None
    for other in (picture(200), picture(100, size=(41, 30)), picture(100, spot=5)):
        found = first_difference([picture(100)], [other], tolerance=0)
        assert found is not None
        assert found.picture


def test_a_rerun_tells_what_does_not_reproduce_and_leaves_the_notebook_alone(write: Write, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("12")
    path = write(
        cell("rows = int(open('rows.txt').read())", 1),
        cell("print(rows / 7)", 2, printed("1.7142857\n")),
        cell("rows", 3, shown(3, text_plain="13")),
        cell("import os; os.getpid()", 4, shown(4, text_plain="1"), tags=("nbval-ignore-output",)),
        cell("1 / 0", 5, raised("ZeroDivisionError"), tags=("raises-exception",)),
        cell("rows + 1", 6, shown(6, text_plain="13")),
    )
    before = path.read_bytes()
    report = check_notebook(path, rerun=True)
    assert [(found.rule, found.cell, found.output) for found in report.findings] == [("not-reproduced", 3, 1)]
    assert report.rerun
    assert (path.read_bytes(), sorted(file.name for file in tmp_path.iterdir())) == (before, ["notebook.ipynb", "rows.txt"])
    assert check_notebook(path).findings == ()


def test_a_rerun_that_fails_names_the_cell_and_hides_secrets(write: Write) -> None:
    key = "ghp_" + "a1B2" * 9
    path = write(
        cell("x = 1", 1), cell("1 / 0", 2, tags=("raises-exception",)), cell(f"raise ValueError('{key}')", 3), "print(x)"
    )
    found = only(check_notebook(path, rerun=True), "rerun-failed")
    assert (found.cell, found.severity) == (3, "error")
    assert found.message == "a clean rerun fails: ValueError: (GitHub token)" or key not in found.message


def test_a_rerun_that_kills_its_kernel_names_the_cell(write: Write) -> None:
    path = write("x = 1", "import os; os._exit(3)", "y = 2")
    found = only(check_notebook(path, rerun=True), "rerun-failed")
    assert found.cell == 2


def test_a_notebook_without_ids_kernel_or_outputs_only_has_to_run(write: Write) -> None:
    path = write("x = 1", "print(x)", metadata={}, minor=4)
    assert rules(check_notebook(path, rerun=True)) == ["kernel"]


def test_what_cannot_be_run_is_told(write: Write) -> None:
    nowhere = {"kernelspec": {"name": "no-such-kernel", "display_name": "?", "language": "python"}}
    assert "not installed" in only(check_notebook(write("x = 1", metadata=nowhere), rerun=True), "rerun-failed").message
    path = write("x = 1")
    path.write_text(json.dumps({**json.loads(path.read_text()), "metadata": None}))
    assert "invalid" in only(check_notebook(path, rerun=True), "rerun-failed").message
