from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import ValidationError
from nbformat.v4 import output_from_msg

from workbench.execution.received import OutputLimits, output_in
from workbench.execution.warm.wire import MESSAGE, Frame

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text/plain", "a", ""]), inner, max_size=2),
    max_leaves=4,
)
TEXTS = st.text(max_size=5)
BUNDLES = st.dictionaries(st.sampled_from(["text/plain", "image/png", "application/json"]), TEXTS | st.lists(TEXTS, max_size=2))
FIELDS = {
    "metadata": st.dictionaries(TEXTS, TEXTS, max_size=2) | ANY,
    "data": BUNDLES | ANY,
    "execution_count": st.integers(-1, 9) | ANY,
    "name": st.sampled_from(["stdout", "stderr"]) | ANY,
    "text": TEXTS | st.lists(TEXTS, max_size=2) | ANY,
    "ename": TEXTS | ANY,
    "evalue": TEXTS | ANY,
    "traceback": st.lists(TEXTS, max_size=2) | ANY,
    "transient": ANY,
}
KINDS = st.sampled_from(["execute_result", "stream", "display_data", "error", "clear_output", "comm_msg"])


def typed(value: object) -> object:
    """A value with the types of all that is in it."""
    if isinstance(value, dict):
        return type(value).__name__, {key: typed(inner) for key, inner in value.items()}
    return (type(value).__name__, [typed(inner) for inner in value] if isinstance(value, list) else value)


def outcome(make: Any, message: dict[str, Any]) -> tuple[str, object]:
    try:
        return "made", typed(make(message))
    except (ValueError, KeyError, ValidationError) as error:
        return "refused", type(error)


@given(KINDS, st.fixed_dictionaries({}, optional=FIELDS))
def test_an_output_is_made_or_refused_as_nbformat_does(kind, content):
    message = {"header": {"msg_type": kind}, "content": content}
    assert outcome(output_in, message) == outcome(output_from_msg, message)


@given(KINDS, st.fixed_dictionaries(FIELDS))
def test_an_output_of_a_whole_message_is_nbformats(kind, content):
    message = {"header": {"msg_type": kind}, "content": content}
    assert outcome(output_in, message) == outcome(output_from_msg, message)


@pytest.mark.parametrize("data", [{"text/plain": "1"}, {"image/png": "A" * 100_000}, {"application/json": {"a": [1, None]}}])
def test_a_sound_output_is_made_at_once(data):
    message = {"header": {"msg_type": "display_data"}, "content": {"data": data, "metadata": {}}}
    assert output_in(message) == {"output_type": "display_data", "data": data, "metadata": {}}


def test_limits_count_a_cell_and_the_whole_notebook():
    limits = OutputLimits(cell_bytes=100, notebook_bytes=150)
    frame = Frame(MESSAGE, json.dumps("x" * 58).encode(), [b"y" * 20])
    assert limits.exceeded(frame) is None
    assert "the cell has sent more than 100 bytes" in str(limits.exceeded(frame))
    limits.begin_cell()
    assert "the notebook has sent more than 150 bytes" in str(limits.exceeded(frame))
