"""Hashes of passwords."""

from __future__ import annotations

import time

import pytest

from workbench.governance.passwords import hashed, matches


def test_the_same_password_has_another_hash_each_time_and_fits_both(password):
    first, second = hashed(password), hashed(password)
    assert first != second
    assert matches(first, password)
    assert matches(second, password)
    assert not matches(first, password + " ")


@pytest.mark.parametrize("stored", ["", "not a hash"])
def test_what_is_no_hash_fits_nothing(stored, password):
    assert not matches(stored, password)


def test_nobodys_password_is_looked_at_as_long_as_anybodys():
    stored = hashed("a password of somebody")
    assert not matches(None, "the password of nobody")

    def taken(known):
        started = time.process_time()
        matches(known, "wrong")
        return time.process_time() - started

    times = [(taken(stored), taken(None)) for _ in range(5)]
    known, unknown = (min(each) for each in zip(*times, strict=True))
    assert 0.5 < unknown / known < 2
