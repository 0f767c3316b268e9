"""Which kernels the warm process can stand in for: this interpreter's own ipykernel. Asked by the engine and the provisioner."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.execution.warm.asking import Unavailable

__all__ = ["environment_of", "require_own"]


def environment_of(kernel_name: str) -> dict[str, str]:
    """The environment of a kernel of this name: the process's own and what its kernelspec adds.

    Raises:
        Unavailable: the kernelspec starts something else than this interpreter's ipykernel.
        NoSuchKernel: there is no such kernelspec.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    specification = KernelSpecManager().get_kernel_spec(kernel_name or "python3")
    require_own(specification.argv)
    return {**os.environ, **specification.env}


def require_own(command: Sequence[str]) -> None:
    """Checks that a kernel's command line starts ipykernel in this interpreter and with no options of its own.

    Raises:
        Unavailable: it does not.
    """
    interpreter, *rest = command
    if rest[:2] != ["-m", "ipykernel_launcher"]:
        raise Unavailable(f"the kernel is not ipykernel but {' '.join(command[:3])}")
    if Path(interpreter).is_absolute():
        # a virtual environment's interpreter is a link: what it resolves to does not tell which environment it is of
        same = Path(interpreter).parent == Path(sys.executable).parent
    else:
        same = interpreter in ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not same:
        raise Unavailable(f"the kernel has another interpreter, {interpreter}")
