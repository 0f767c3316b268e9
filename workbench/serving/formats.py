"""Writes and reads fitted models as skops files, never as pickle; used by the notebooks' saved values and by packaging."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from workbench.errors import DataUnreadable
from workbench.serving.scorer.trusted import load_model, open_skops, refuse_untrusted

__all__ = ["read_model", "write_model"]


def write_model(model: object, path: Path) -> None:
    """Writes a fitted model as one skops file that appears whole or not at all.

    A model that could not be read back is refused here, where its author still sees it, not when it is served.

    Args:
        model: A fitted scikit-learn pipeline or estimator.
        path: The file to write; replaced when it exists.

    Raises:
        PackagingFailed: the model holds types that are not on the reviewed list.
    """
    skops_io = open_skops()
    content = skops_io.dumps(model)
    refuse_untrusted(skops_io.get_untrusted_types(data=content))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def read_model(path: Path) -> object:
    """The model in a skops file, constructed only if every type in it is on a reviewed list.

    Raises:
        DataUnreadable: the file cannot be opened.
        PackagingFailed: not a skops file, or it holds types that nobody reviewed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataUnreadable(f"cannot read the model file {path}: {error.strerror}", hint="Train the candidate again.") from error
    return load_model(content)
