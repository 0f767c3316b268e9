from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

from workbench.errors import BadInput
from workbench.session.tensors import is_tensors
from workbench.session.values import read_value, write_value
from workbench.store import Objects
from workbench.store.objects import digest_of


@pytest.fixture
def objects(tmp_path):
    return Objects(tmp_path / "objects")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).reshape(2, 3),
        torch.arange(6).reshape(2, 3).T,
        torch.arange(10)[::2],
        torch.tensor(3.5),
        torch.zeros(0, 3),
        torch.ones(2, dtype=torch.bfloat16),
        torch.tensor([True, False]),
        torch.ones(2, dtype=torch.complex64),
        torch.nn.Parameter(torch.ones(2)),
    ],
    ids=["rows", "transposed", "strided", "scalar", "empty", "bfloat16", "bool", "complex", "parameter"],
)
def test_a_tensor_keeps_its_shape_type_and_values(objects, tensor):
    saved = write_value(objects, "tensor", tensor)
    found = read_value(objects, saved)
    assert saved.format == "torch.safetensors"
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)
    assert not found.requires_grad


def test_a_network_continues_from_the_state_that_another_step_saved(objects):
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    fresh = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    saved = write_value(objects, "state", network.state_dict())
    fresh.load_state_dict(read_value(objects, saved))
    rows = torch.rand(5, 3)
    assert torch.equal(fresh.eval()(rows), network.eval()(rows))
    assert isinstance(read_value(objects, write_value(objects, "one", OrderedDict(a=torch.ones(1)))), dict)


def test_a_loaded_tensor_may_be_changed_without_changing_its_file(objects):
    saved = write_value(objects, "weights", {"a": torch.ones(500_000), "b": torch.ones(3)})
    found = read_value(objects, saved)
    found["a"].mul_(5)
    found["b"].zero_()
    assert digest_of(objects.path(saved.digest)) == saved.digest
    assert read_value(objects, saved)["b"].sum() == 3


SHARED = torch.ones(3)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.eye(3).to_sparse(), "a tensor is sparse; save its .to_dense"),
        ({"a": SHARED, "b": torch.eye(3).to_sparse()}, "the tensor 'b' is sparse"),
        ({"a": SHARED, "b": SHARED}, "share memory"),
        ({1: torch.ones(1)}, "a tensor is named 1; expected a text"),
        (torch.nn.Linear(1, 1), "has no JSON form"),
    ],
    ids=["sparse", "one sparse", "shared", "number", "module"],
)
def test_what_the_format_cannot_hold_is_refused_with_the_reason(objects, value, reason):
    with pytest.raises(BadInput, match=r"session\.save\(x=…\)") as caught:
        write_value(objects, "x", value)
    assert reason in caught.value.message


def test_what_is_no_tensor_is_not_taken_for_one():
    assert not any(map(is_tensors, ({}, [], {"a": 1}, {"a": torch.ones(1), "b": 1}, None)))
