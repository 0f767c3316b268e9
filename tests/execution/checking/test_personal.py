from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.execution.checking.personal import personal_values

from .conftest import Judge, cell, only, printed, rules, shown

# Published examples of standards and of the libraries' own documentation; nobody's data.
NUMBERS = {
    "IBAN": "GB82 WEST 1234 5698 7654 32",
    "IBAN without spaces": "DE89370400440532013000",
    "payment card": "4111 1111 1111 1111",
    "payment card without spaces": "5555555555554444",
    "IT": "RCCMNL83S18D969H",
    "ES": "54362315K",
    "FI": "131052-308T",
    "SE": "880320-0016",
    "BE": "85.07.30-033.28",
    "FR": "2 95 10 99 126 111 93",
    "CH": "756.9217.0769.85",
    "BR": "390.533.447-05",
    "PL": "44051401359",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
def test_a_number_with_a_right_checksum_is_found_and_not_shown(number: str, judge: Judge) -> None:
    report = judge(cell("print(1)", 1, printed(f"customer 17: {number}, paid\n")))
    found = only(report, "personal-data")
    assert (found.severity, found.output) == ("error", 1)
    assert number not in found.message


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
def test_the_same_number_with_a_wrong_digit_is_left_alone(number: str) -> None:
    digit = max(position for position, sign in enumerate(number) if sign.isdigit())
    wrong = number[:digit] + str((int(number[digit]) + 1) % 10) + number[digit + 1 :]
    assert list(personal_values(f"customer 17: {wrong}, paid")) == []


def test_a_number_that_has_no_checksum_is_only_suspected(judge: Judge) -> None:
    assert rules(judge(cell("1", 1, printed("ssn 536-90-4399")))) == ["possible-personal-data"]


def test_a_card_in_a_row_of_numbers_is_found_and_a_row_of_short_numbers_is_no_card() -> None:
    assert [kind for _, kind, _ in personal_values("17 4111111111111111 3.5")] == ["payment card"]
    assert list(personal_values("17 4111 1111 1111 1111")) == []


def test_addresses_and_telephones_are_warnings_one_for_each_cell_and_kind(judge: Judge) -> None:
    text = "ann.b@firm.co.uk bob@firm.de +44 20 7946 0018\n"
    report = judge(cell("1", 1, printed(text), shown(1, text_html="<td>eve@firm.de</td>", text_plain="eve@firm.de")))
    assert rules(report) == ["possible-personal-data", "possible-personal-data"]
    assert [found.message for found in report.findings] == ["shows one e-mail address and 2 more", "shows one telephone number"]


@pytest.mark.parametrize(
    "text",
    [
        "someone@example.com git@github.com:a/b.git noreply@firm.de icon@2x.png user@localhost pkg@1.2.3",
        "[+1.2345678901 -2.5] +12345 x=+1 2 3",
        "0.4111111111111111 4111111111111111.5 1700000000000000 1.0e-12",
        "2024-01-31 12:00:00.123456 10.0.0.1:8080 978-3-16-148410-0",
        "7f0a4111111111111111ab sha256 4012888888881881f",
    ],
)
def test_ordinary_numbers_and_addresses_of_nobody_are_left_alone(text: str) -> None:
    assert list(personal_values(text)) == []


def test_a_column_of_other_long_numbers_is_left_alone_although_some_pass_by_chance() -> None:
    column = "\n".join(f"{row}  {4 * 10**15 + 7**row % 10**15}" for row in range(500))
    assert list(personal_values(column)) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50))
def test_printed_floats_are_nobodys_data(numbers: list[float]) -> None:
    assert list(personal_values("\n".join(map(repr, numbers)))) == []
