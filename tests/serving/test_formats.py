"""Model files are skops with reviewed types; anything else is refused before a single object is constructed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from workbench.errors import DataUnreadable, PackagingFailed
from workbench.serving.formats import read_model, write_model
from workbench.serving.scorer.trusted import TRUSTED


class Unreviewed(LogisticRegression):
    """A type that no list names."""


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    "kind", ["linear binary", "boosted multiclass", "boosted regression", "network binary", "network regression"]
)
def test_every_shipped_kind_of_model_is_read_back_the_same(fitted, tmp_path, kind):
    one = fitted(kind)
    write_model(one.pipeline, tmp_path / "model.skops")
    again = read_model(tmp_path / "model.skops")
    assert isinstance(again, Pipeline)
    frame = one.holdout.to_pandas()
    np.testing.assert_array_equal(again.predict(frame), one.pipeline.predict(frame))


def test_a_type_nobody_reviewed_is_named_when_writing(tmp_path):
    with pytest.raises(PackagingFailed) as caught:
        write_model(Unreviewed(), tmp_path / "model.skops")
    assert any("Unreviewed" in problem for problem in caught.value.problems)
    assert list(tmp_path.iterdir()) == []


def test_a_type_nobody_reviewed_is_named_when_reading(tmp_path):
    skops.io.dump(Unreviewed(), tmp_path / "model.skops")
    with pytest.raises(PackagingFailed) as caught:
        read_model(tmp_path / "model.skops")
    assert any("Unreviewed" in problem for problem in caught.value.problems)


@pytest.mark.parametrize("write", [pickle.dumps, None], ids=["pickle", "joblib"])
def test_pickled_files_are_refused_without_running_what_is_in_them(tmp_path, write):
    path, mark = tmp_path / "model.skops", tmp_path / "mark"
    if write:
        path.write_bytes(write(Trap(mark)))
    else:
        joblib.dump(Trap(mark), path)
    with pytest.raises(PackagingFailed, match="not a readable skops file"):
        read_model(path)
    assert not mark.exists()


def test_a_damaged_file_is_refused(fitted, tmp_path):
    path = tmp_path / "model.skops"
    write_model(fitted("linear binary").pipeline, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(PackagingFailed, match="not a readable skops file"):
        read_model(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataUnreadable, match=r"nowhere\.skops"):
        read_model(tmp_path / "nowhere.skops")


def test_every_trusted_type_has_a_reason():
    assert all(len(reason) > 20 for reason in TRUSTED.values())


TYPES = """
import sys
from workbench.serving.scorer.trusted import open_skops
io = open_skops() if "ours" in sys.argv else __import__("skops.io").io
from skops.io import _trusted_types
trusted = {name: listed for name, listed in vars(_trusted_types).items() if name.endswith("_NAMES")}
sys.stdout.write(f"{'torch' in sys.modules} {trusted}")
import sklearn.externals.array_api_compat.torch  # what was kept out for a moment can be imported later
"""


def test_skops_is_opened_without_torch_and_trusts_the_same_types():
    ours, theirs = (
        subprocess.run([sys.executable, "-c", TYPES, who], capture_output=True, text=True, timeout=60, check=True).stdout
        for who in ("ours", "theirs")
    )
    assert ours.startswith("False ")
    assert "SKLEARN_ESTIMATOR_TYPE_NAMES" in ours
    assert ours.partition(" ")[2] == theirs.partition(" ")[2]
