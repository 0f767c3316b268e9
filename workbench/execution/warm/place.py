"""Where a user's warm processes live, and which requests one of them may serve. Asked by both sides of the socket."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys

from workbench.errors import ComponentMissing
from workbench.execution.warm.inherited import unalterable

TYPE_CHECKING = False  # typing's own and pathlib take milliseconds to import, and thin processes load this module
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["attached_folder", "import_environment", "runtime_folder", "socket_path", "starting_environment"]

INTERPRETER = (
    *("PYTHON", "LD_", "MALLOC_", "LC_", "LANG", "ASAN_", "GLIBC_"),
    *("OMP_", "KMP_", "GOMP_", "OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "VECLIB_", "ARROW_"),
)
"""Variables that the interpreter, the dynamic linker, numpy or pyarrow (which papermill imports) reads once.

Another value needs another warm process.
"""

LIBRARIES = (
    *("HOME", "XDG_CONFIG_", "XDG_CACHE_", "XDG_DATA_HOME", "NUMEXPR_", "NUMBA_", "KERAS_", "POLARS_"),
    *("PANDAS_", "MPL", "CUDA", "NVIDIA_", "ROCR_", "HIP_", "TORCH", "PYTORCH", "TF_", "JAX", "XLA_", "HF_", "TRANSFORMERS_"),
    *("SKLEARN_", "SCIPY_", "JOBLIB_", "LOKY_", "IPYTHON", "JUPYTER_", "QT_", "TQDM_", "PLOTLY_", "RAY_", "DASK_"),
)
"""Variables that libraries read when they are imported: another value needs another nest."""

LONGEST_ADDRESS = 100  # bytes; the kernel allows 107 for the path of a unix socket


def runtime_folder() -> str:
    """The folder of this user's sockets, made with mode 0700.

    Raises:
        ComponentMissing: the folder exists and is not this user's alone.
    """
    parent = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder in it is ours alone
    folder = os.environ.get("WORKBENCH_RUNTIME_DIR") or os.path.join(os.path.abspath(parent), f"workbench-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        now = f"it belongs to user {found.st_uid}, with mode {found.st_mode & 0o777:o}"
        raise ComponentMissing(
            f"{folder} must be a folder that only its owner can enter; {now}",
            hint=f"Remove it, or: chmod 700 {folder}   Or name another place: WORKBENCH_RUNTIME_DIR",
        )
    if len(os.fsencode(folder)) > LONGEST_ADDRESS - 24:
        raise ComponentMissing(f"{folder} is too long for a socket", hint="Name a shorter place: WORKBENCH_RUNTIME_DIR")
    return folder


def attached_folder() -> Path:
    """Where JupyterLab looks for kernels that runs left: their connection files."""
    from pathlib import Path

    folder = Path(runtime_folder(), "attached")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def starting_environment(environment: Mapping[str, str], folder: str) -> dict[str, str]:
    """The environment of a warm process for kernels in `folder`: Python takes its search path relative to where it starts."""
    folder = os.path.abspath(folder)
    searched = environment.get("PYTHONPATH")
    if not searched:
        return dict(environment)
    return {**environment, "PYTHONPATH": os.pathsep.join(os.path.join(folder, each) for each in searched.split(os.pathsep))}


def socket_path(environment: Mapping[str, str]) -> str:
    """The socket of the warm process that serves this interpreter and this starting environment, for processes like this one."""
    chosen = {name: value for name, value in sorted(environment.items()) if name.startswith(INTERPRETER)}
    identity = json.dumps([sys.prefix, sys.version, chosen, unalterable()])
    return os.path.join(runtime_folder(), f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.sock")


def import_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that decide what an import does."""
    return {name: value for name, value in sorted(environment.items()) if name.startswith(INTERPRETER + LIBRARIES)}
