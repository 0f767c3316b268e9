"""Torch tensors and state dicts as safetensors files (format 0.4 and later of the `safetensors` package), mapped on load.

Torch itself is never imported here: a value can only be a tensor where its notebook has imported it, and safetensors does the
rest.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.store import Objects

__all__ = ["is_tensors", "read_tensors", "write_tensors"]

ALONE = "tensor"


def is_tensors(value: object) -> bool:
    """Whether a value is a tensor, or names tensors as a state dict does."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    inside = value.values() if isinstance(value, Mapping) else (value,)
    return bool(inside) and all(isinstance(each, torch.Tensor) for each in inside)


def write_tensors(objects: Objects, value: Any) -> tuple[str, int]:
    """Stores dense tensors, wherever they are; they come back on the CPU, without gradients. Returns digest and size.

    Raises:
        ValueError: a tensor is sparse.
        RuntimeError: two tensors share memory, which files cannot.
        TypeError: a tensor's name is no text.
    """
    from safetensors.torch import save_file

    alone = not isinstance(value, Mapping)
    named = {"": value} if alone else dict(value)
    for name, tensor in named.items():
        if not isinstance(name, str):
            raise TypeError(f"a tensor is named {name!r}; expected a text")
        if tensor.layout != sys.modules["torch"].strided:
            raise ValueError(f"{'a tensor' if alone else f'the tensor {name!r}'} is sparse; save its .to_dense()")
    laid = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
    return objects.write(lambda path: save_file(laid, path, metadata={"kind": ALONE if alone else "mapping"}))


def read_tensors(path: Path) -> Any:
    """The tensor or the dict of tensors in a file, mapped copy-on-write: changing one never changes the file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        return tensors[""] if file.metadata()["kind"] == ALONE else tensors
