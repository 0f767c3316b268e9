"""On a GPU a network is fitted as on the CPU: same answers, same files, and nobody else's random numbers are touched."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import skops.io
import torch
from sklearn.pipeline import Pipeline

from workbench.serving.conversion import to_onnx
from workbench.serving.parity import LIMIT, prove_parity
from workbench.training.network import NetworkClassifier, NetworkRegressor
from workbench.training.preprocessing import preprocessing

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(400, 5))
VALUE = 1e4 + 300 * (X[:, 0] - X[:, 1] ** 2) + RANDOM.normal(0, 10, 400)
LABEL = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
BUILD = """
import numpy as np, os, torch
from workbench.training.network import NetworkClassifier
X, y = np.eye(60), np.arange(60) % 2
"""
FIT = "NetworkClassifier(device='cpu', epochs=1).fit(X, y)\n"


def said_by(program: str, **environment: str) -> str:
    """What a program prints that has a process of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, env={**os.environ, **environment}, text=True, timeout=120).strip()


@pytest.mark.parametrize(("device", "on_gpu"), [("auto", True), ("cuda", True), ("cpu", False)])
def test_the_device_that_was_asked_for_computes(device, on_gpu):
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.max_memory_allocated()
    NetworkClassifier(device=device, epochs=1).fit(X, LABEL)
    assert (torch.cuda.max_memory_allocated() > before) == on_gpu


@pytest.mark.parametrize("estimator", [NetworkClassifier, NetworkRegressor])
def test_gpu_and_cpu_differ_by_rounding_only(estimator):
    """Both draw the first weights and the order of the rows on the CPU.

    So without dropout they take the same 36 steps, and only sums in single precision round differently. On the CPU, features
    that are off by a millionth move these answers by less than a millionth; the bound is a hundred times that.
    """
    target = LABEL if estimator is NetworkClassifier else (VALUE - VALUE.mean()) / VALUE.std()
    here, there = (estimator(device=device, epochs=3).fit(X, target) for device in ("cpu", "cuda"))
    answers = [each.predict_proba(X) if estimator is NetworkClassifier else each.predict(X) for each in (here, there)]
    assert np.allclose(*answers, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_same_seed_gives_the_same_network_on_the_same_gpu(dropout):
    networks = [NetworkClassifier(device="cuda", epochs=4, dropout=dropout, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (network.fit(X, LABEL).predict_proba(X) for network in networks)
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_random_numbers_of_the_notebook_are_left_alone_on_both_devices(device):
    def drawn() -> list[float]:
        return [*torch.rand(3).tolist(), *torch.rand(3, device="cuda").tolist()]

    torch.manual_seed(5)
    expected = drawn()
    torch.manual_seed(5)
    NetworkClassifier(device=device, epochs=2, dropout=0.2).fit(X, LABEL)
    assert drawn() == expected


def test_a_fit_on_the_cpu_does_not_seed_a_gpu_that_is_used_later():
    draw = "print(torch.rand(3, device='cuda').tolist())"
    assert said_by(f"{BUILD}torch.manual_seed(5)\n{FIT}{draw}") == said_by(f"{BUILD}torch.manual_seed(5)\n{draw}")


def test_after_a_fit_on_the_cpu_a_fork_can_still_use_the_gpu():
    child = "print(torch.ones(3, device='cuda').sum().item(), flush=True)"
    assert said_by(f"{BUILD}{FIT}if os.fork():\n    os.wait()\nelse:\n    {child}\n    os._exit(0)\n") == "3.0"


def test_a_network_from_a_gpu_predicts_where_there_is_none(tmp_path):
    network = NetworkClassifier(device="cuda", epochs=2).fit(X, LABEL)
    skops.io.dump(network, tmp_path / "network.skops")
    np.save(tmp_path / "x.npy", X[:20])
    program = (
        f"import os\nos.chdir({str(tmp_path)!r})\nimport numpy, skops.io, torch\nassert not torch.cuda.is_available()\n"
        "network = skops.io.load('network.skops', trusted=['workbench.training.network.NetworkClassifier'])\n"
        "numpy.save('p.npy', network.predict_proba(numpy.load('x.npy')))\n"
    )
    said_by(program, CUDA_VISIBLE_DEVICES="")
    assert np.allclose(np.load(tmp_path / "p.npy"), network.predict_proba(X[:20]), rtol=0, atol=1e-12)
    assert {each.device.type for each in network.torch_module().parameters()} == {"cpu"}


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_network_from_a_gpu_becomes_onnx_that_predicts_the_same(labelled, task):
    frame, contract = labelled(task)
    network = (NetworkRegressor if task == "regression" else NetworkClassifier)(device="cuda", epochs=3)
    pipeline = Pipeline([("preprocess", preprocessing(contract, "network")), ("model", network)])
    features = frame.select(contract.names)
    pipeline.fit(features.to_pandas(), frame["outcome"].to_numpy())
    parity = prove_parity(pipeline, to_onnx(pipeline, contract), contract, features)
    assert parity.passed, parity
    assert parity.largest_difference <= LIMIT
