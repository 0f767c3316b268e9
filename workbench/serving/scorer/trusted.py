"""The types a skops file may hold beyond those skops trusts, one reviewed reason each; used to write, read and serve."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

from workbench.errors import PackagingFailed

__all__ = ["TRUSTED", "load_model", "open_skops", "refuse_untrusted"]

TRUSTED: Mapping[str, str] = {
    "numpy.dtype": "OneHotEncoder and OrdinalEncoder remember the dtype they produce; it is a name, not code",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": (
        "the trees of HistGradientBoosting are arrays of nodes; read only after the file's digest is verified"
    ),
    "sklearn.tree._tree.Tree": "the trees of forests are arrays of nodes; read only after the file's digest is verified",
    "functools.partial": "HistGradientBoosting with categories wraps check_array; what it wraps must itself be on a list",
    "sklearn.utils.validation.check_array": "checks an array's shape and type; called by HistGradientBoosting with categories",
    "workbench.training.network.NetworkClassifier": "our own estimator; its fitted state is plain arrays",
    "workbench.training.network.NetworkRegressor": "our own estimator; its fitted state is plain arrays",
}


TORCH_BRIDGE = "sklearn.externals.array_api_compat.torch"


def open_skops() -> ModuleType:
    """`skops.io`, imported without torch.

    skops lists scikit-learn's estimators at its import, and `sklearn.utils.all_estimators` (1.9) imports every subpackage on its
    way, also those that it then ignores. One of them is the bridge to torch: a second of import that no model here asks for.
    """
    with _kept_out(TORCH_BRIDGE):
        import skops.io
    opened: ModuleType = skops.io
    return opened


@contextmanager
def _kept_out(module: str) -> Iterator[None]:
    """Lets the import of a module fail for a moment, unless it is there already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # how Python marks what must not be imported
    try:
        yield
    finally:
        del sys.modules[module]


def load_model(content: bytes) -> object:
    """The model in the bytes of a skops file; nothing in it is constructed unless every type is on a list.

    Raises:
        PackagingFailed: not a skops file, or it holds types that nobody reviewed.
    """
    skops_io = open_skops()
    try:
        refuse_untrusted(skops_io.get_untrusted_types(data=content))
        return skops_io.loads(content, trusted=list(TRUSTED))
    except PackagingFailed:
        raise
    except Exception as error:  # a damaged archive fails in many ways, none of which skops wraps
        raise PackagingFailed(
            f"the model file is not a readable skops file: {type(error).__name__}: {error}",
            hint="Write it again with workbench.serving.formats.write_model; pickle and joblib files are never read.",
        ) from error


def refuse_untrusted(types: list[str]) -> None:
    """Stops at the first set of types that is not on the reviewed list.

    Raises:
        PackagingFailed: names every type that is not on it.
    """
    unknown = sorted(set(types) - TRUSTED.keys())
    if unknown:
        raise PackagingFailed(
            f"the model holds {len(unknown)} type{'s' if len(unknown) > 1 else ''} that nobody reviewed for safe loading",
            problems=unknown,
            hint="Use estimators of scikit-learn, or add the type with its reason to TRUSTED in serving/scorer/trusted.py.",
        )
