from __future__ import annotations

import pytest

from workbench.data import example, inspect, read_table
from workbench.errors import NotFound


def test_the_credit_example_is_whole_and_learnable():
    credit = example("credit")
    frame = read_table(credit.path)
    assert frame.shape == (30_000, 25)
    found = inspect(frame, target=credit.target, sensitive=credit.sensitive, entity=credit.entity)
    assert found.task == "binary"
    assert found.positive == credit.positive
    assert credit.favourable in found.classes
    assert {"SEX", "EDUCATION", "MARRIAGE"} == set(found.columns.category)
    assert len(found.columns.number) == 20
    assert list(found.columns.ignored) == ["ID"]


def test_the_example_carries_its_origin_and_licence_and_explains_every_column():
    credit = example("credit")
    text = credit.readme.read_text(encoding="utf-8")
    assert "CC BY 4.0" in text
    assert "Yeh" in text
    for name in read_table(credit.path).columns:
        stem = name.rstrip("0123456789")
        assert f"`{name}`" in text or f"`{stem}1`" in text


def test_an_unknown_example_is_met_with_the_known_ones():
    with pytest.raises(NotFound) as caught:
        example("credits")
    assert caught.value.hint == "Did you mean 'credit'?"
