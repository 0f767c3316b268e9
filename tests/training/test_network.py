"""The network behaves as a scikit-learn estimator, is reproducible, and its arrays are the whole model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from workbench.errors import BadInput, ComponentMissing
from workbench.training.network import NetworkClassifier, NetworkRegressor

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(400, 5))
VALUE = 1e4 + 300 * (X[:, 0] - X[:, 1] ** 2) + RANDOM.normal(0, 10, 400)
LABEL = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("estimator", [NetworkClassifier, NetworkRegressor])
def test_it_passes_the_checks_of_scikit_learn(estimator):
    results = check_estimator(estimator(hidden=(16,), epochs=60, learning_rate=0.02), on_fail=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in results) > 45


def test_it_learns_what_no_straight_line_can():
    network = NetworkClassifier(epochs=60, learning_rate=0.01).fit(X[:300], LABEL[:300])
    assert network.score(X[300:], LABEL[300:]) > 0.85


def test_a_regression_network_predicts_in_the_unit_of_the_target():
    network = NetworkRegressor(epochs=100, learning_rate=0.01).fit(X[:300], VALUE[:300])
    assert network.score(X[300:], VALUE[300:]) > 0.8
    assert network.target_mean_ == pytest.approx(VALUE[:300].mean())


def test_a_constant_target_is_predicted_as_it_is():
    assert NetworkRegressor(epochs=3).fit(X, np.full(400, 7.0)).predict(X) == pytest.approx(7.0, abs=0.5)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_same_seed_gives_the_same_network_and_another_seed_another(dropout):
    first, again, other = (
        NetworkClassifier(epochs=4, dropout=dropout, seed=seed).fit(X, LABEL).predict_proba(X) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_fitting_leaves_the_random_numbers_of_the_notebook_alone():
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    NetworkClassifier(epochs=1).fit(X, LABEL)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("estimator", "target"), [(NetworkClassifier, LABEL), (NetworkRegressor, VALUE)])
@pytest.mark.parametrize("hidden", [(), (8,), (8, 4)])
def test_the_torch_module_computes_what_the_arrays_compute(estimator, target, hidden):
    import torch

    network = estimator(hidden=hidden, epochs=3, dropout=0.2).fit(X, target)
    with torch.no_grad():
        raw = network.torch_module()(torch.from_numpy(X.astype(np.float32)))
    expected = network.predict_proba(X) if estimator is NetworkClassifier else network.predict(X)
    given = torch.softmax(raw, dim=1) if estimator is NetworkClassifier else raw[:, 0]
    assert np.allclose(given.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_it_survives_skops_and_then_predicts_without_torch(tmp_path):
    network = NetworkClassifier(epochs=2).fit(X, LABEL)
    file = tmp_path / "network.skops"
    skops.io.dump(network, file)
    np.save(tmp_path / "x.npy", X[:20])
    script = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "import numpy, skops.io\n"
        "network = skops.io.load(sys.argv[1], trusted=['workbench.training.network.NetworkClassifier'])\n"
        "numpy.save(sys.argv[3], network.predict_proba(numpy.load(sys.argv[2])))\n"
    )
    made = tmp_path / "p.npy"
    subprocess.run([sys.executable, "-c", script, str(file), str(tmp_path / "x.npy"), str(made)], check=True, timeout=120)
    assert np.allclose(np.load(made), network.predict_proba(X[:20]), rtol=0, atol=1e-12)


def test_importing_training_loads_neither_torch_nor_matplotlib():
    script = "import sys, workbench.training; print(sorted({'torch', 'matplotlib', 'skl2onnx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_early_stopping_keeps_the_epoch_with_the_lowest_validation_loss():
    network = NetworkClassifier(epochs=300, learning_rate=0.03, patience=4).fit(X, LABEL)
    validation = [row[2] for row in network.history_]
    assert len(validation) < 300
    assert np.argmin(validation) == len(validation) - 5


def test_fitting_gives_the_threads_back():
    import torch

    before = torch.get_num_threads()
    NetworkClassifier(epochs=1).fit(X, LABEL)
    assert torch.get_num_threads() == before


def test_few_rows_are_all_learned_from_and_the_history_says_so():
    network = NetworkClassifier(epochs=3).fit(X[:40], LABEL[:40])
    assert [row[0] for row in network.history_] == [1, 2, 3]
    assert all(row[2] is None for row in network.history_)


def test_a_clone_has_the_settings_but_not_the_fit():
    network = clone(NetworkClassifier(hidden=(3,), epochs=2).fit(X, LABEL))
    assert network.get_params()["hidden"] == (3,)
    assert not hasattr(network, "weights_")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hidden", (8, 0)),
        ("dropout", 1.0),
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -1.0),
        ("batch_size", 0),
        ("validation_share", 1.0),
        ("patience", 0),
        ("device", "tpu"),
    ],
)
def test_a_setting_out_of_range_is_named_before_anything_is_fitted(setting, value):
    with pytest.raises(BadInput, match=setting):
        NetworkClassifier(**{setting: value}).fit(X, LABEL)


def test_a_loss_that_stops_being_a_number_says_what_to_change():
    with pytest.raises(BadInput) as caught:
        NetworkRegressor(learning_rate=1e30, epochs=20, validation_share=0.0).fit(X, VALUE)
    assert "learning_rate" in caught.value.hint


def test_asking_for_a_gpu_where_there_is_none_is_an_error_not_a_slow_fit():
    import torch

    if torch.cuda.is_available():
        assert NetworkClassifier(device="cuda", epochs=1).fit(X, LABEL).predict(X).shape == (400,)
    else:
        with pytest.raises(ComponentMissing):
            NetworkClassifier(device="cuda", epochs=1).fit(X, LABEL)
