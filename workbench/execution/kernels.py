"""Which kernels the warm process can stand in for: this interpreter's own ipykernel. Asked by the engine and the provisioner."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.execution.warm.asking import Unavailable

__all__ = ["OWN", "environment_of", "require_own"]


OWN = {"": "python3", "python": "python3"}
"""Other names that Jupyter's clients accept for this interpreter's kernel."""


def environment_of(kernel_name: str) -> dict[str, str]:
    """The environment of a kernel of this name: the process's own and what its kernelspec adds.

    Raises:
        Unavailable: there is no such kernelspec, or it starts something else than this interpreter's ipykernel.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        specification = KernelSpecManager().get_kernel_spec(OWN.get(kernel_name, kernel_name))
    except NoSuchKernel as error:  # nbclient knows names that no kernelspec has, and refuses the others itself
        raise Unavailable(f"no kernelspec is named {kernel_name}") from error
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
