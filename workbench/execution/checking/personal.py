"""Personal data in the outputs of a notebook: addresses, accounts, cards and identity numbers. Called by `trust`.

Numbers count only if their checksum is right (python-stdnum, https://arthurdejong.org/python-stdnum/, and phonenumbers,
https://github.com/daviddrysdale/python-phonenumbers). A checksum of one digit is right by chance once in ten, so that a column
of other numbers would be full of false alarms: a kind counts only if most numbers written like it pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from workbench.execution.checking.document import Cell, Document, texts_of
from workbench.execution.checking.report import Finding, finding

__all__ = ["find_personal_data", "personal_values"]

EMAIL = re.compile(r"(?<![\w.+/:-])[\w.+-]{1,64}@(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,24}\b")
NOBODY = re.compile(
    r"(?i)^(?:git|no-?reply|user(?:name)?|name|foo|someone|you)@|[@.](?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)$"
    r"|\.(?:png|jpe?g|svg|gif|py|ipynb|json|js|css|html)$"
)
PHONE = re.compile(r"(?<![\w.+])\+[1-9]\d{0,2}[ ()/-]{1,2}\d[\d ()/-]{4,16}\d(?![\w.])")
ISSUED = r"4\d{15}$|5[1-5]\d{14}$|2[2-7]\d{14}$|3[47]\d{13}$|6(?:011|5\d\d)\d{12}$|35\d{14}$|3[0689]\d{12}$"
"""First digits and lengths of the cards of Visa, Mastercard, American Express, Discover, JCB and Diners."""

ALONE = r"(?<![\w.,+-]){}(?![\w-]|[.,]\d)"
GROUPED = r"(?<!\d[ -]){}(?! \d)"
"""Groups of digits that are not part of a longer row of numbers."""

CARD = r"\d{13,19}|3\d{3}[ -]\d{6}[ -]\d{5}|" + GROUPED.format(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}")


POSSIBLE = "possible-personal-data"


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of value: how it is written, which written ones are right, and which rule it breaks."""

    name: str
    rule: str
    written: re.Pattern[str]
    is_right: Callable[[str], bool]


def _numbers(name: str, written: str, is_right: Callable[[str], bool], rule: str = "personal-data") -> _Kind:
    return _Kind(name, rule, re.compile(ALONE.format(f"(?:{written})")), is_right)


@cache
def _kinds() -> tuple[_Kind, ...]:
    """Every kind; identity numbers are sought as they are written down, with the separators that tell them from other numbers."""
    from stdnum import iban, luhn
    from stdnum.be import nn
    from stdnum.br import cpf
    from stdnum.ch import ssn as swiss
    from stdnum.dk import cpr
    from stdnum.es import dni, nie
    from stdnum.fi import hetu
    from stdnum.fr import nir
    from stdnum.in_ import aadhaar
    from stdnum.it import codicefiscale
    from stdnum.kr import rrn
    from stdnum.mx import curp
    from stdnum.pl import pesel
    from stdnum.se import personnummer
    from stdnum.us import ssn

    def is_card(text: str) -> bool:
        digits = re.sub(r"\D", "", text)
        issued = re.match(ISSUED, digits)
        return issued is not None and bool(luhn.is_valid(digits))

    return (
        _Kind("e-mail address", POSSIBLE, EMAIL, lambda text: not NOBODY.search(text)),
        _Kind("telephone number", POSSIBLE, PHONE, _is_telephone),
        _numbers("bank account (IBAN)", r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?", iban.is_valid),
        _numbers("payment card", CARD, is_card),
        _numbers("social security number (US)", r"\d{3}-\d{2}-\d{4}", ssn.is_valid, POSSIBLE),
        _numbers("codice fiscale (IT)", r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", codicefiscale.is_valid),
        _numbers("DNI (ES)", r"\d{8}-?[A-HJ-NP-TV-Z]", dni.is_valid),
        _numbers("NIE (ES)", r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]", nie.is_valid),
        _numbers("NIR (FR)", GROUPED.format(r"[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d"), nir.is_valid),
        _numbers("personnummer (SE)", r"(?:\d\d)?\d{6}[-+]\d{4}", personnummer.is_valid),
        _numbers("henkilötunnus (FI)", r"\d{6}[-+A]\d{3}[0-9A-Y]", hetu.is_valid),
        _numbers("CPR number (DK)", r"\d{6}-\d{4}", cpr.is_valid, POSSIBLE),
        _numbers("national number (BE)", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", nn.is_valid),
        _numbers("social security number (CH)", r"756\.\d{4}\.\d{4}\.\d{2}", swiss.is_valid),
        _numbers("PESEL (PL)", r"\d{11}", pesel.is_valid),
        _numbers("CPF (BR)", r"\d{3}\.\d{3}\.\d{3}-\d\d", cpf.is_valid),
        _numbers("Aadhaar (IN)", GROUPED.format(r"[2-9]\d{3}([ -])\d{4}\1\d{4}"), aadhaar.is_valid),
        _numbers("CURP (MX)", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", curp.is_valid),
        _numbers("resident number (KR)", r"\d{6}-\d{7}", rrn.is_valid),
    )


def _is_telephone(text: str) -> bool:
    from phonenumbers import NumberParseException, is_valid_number, parse

    try:
        return is_valid_number(parse(text, None))
    except NumberParseException:
        return False


def personal_values(text: str) -> Iterator[tuple[str, str, set[str]]]:
    """Rule, kind and values of the personal data in a text."""
    for kind in _kinds():
        written = {match[0] for match in kind.written.finditer(text)}
        right = {value for value in written if kind.is_right(value)}
        if right and (kind.written in (EMAIL, PHONE) or 2 * len(right) > len(written)):
            yield kind.rule, kind.name, right


def find_personal_data(document: Document) -> Iterator[Finding]:
    """Findings on personal data, one for each cell and kind; no value is shown."""
    for cell in document.code:
        yield from _in_outputs(cell)


def _in_outputs(cell: Cell) -> Iterator[Finding]:
    found: dict[str, tuple[str, int, set[str]]] = {}
    for number, output in enumerate(cell.outputs, start=1):
        for _, text in texts_of(output):
            for rule, kind, values in personal_values(text):
                found.setdefault(kind, (rule, number, set()))[2].update(values)
    for kind, (rule, number, values) in found.items():
        many = f" and {len(values) - 1} more" if len(values) > 1 else ""
        yield finding(rule, f"shows one {kind}{many}", cell=cell, output=number)
