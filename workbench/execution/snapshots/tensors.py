"""How torch's tensors are written: memory shared, gradients kept, no graph pretended. Called by `snapshots.reducers`.

torch is never imported here unless a snapshot holds a tensor: its module is handed in, or asked for when one is restored.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from workbench.errors import RunFailed
from workbench.execution.snapshots.objections import CannotCarryError

__all__ = ["reducers"]


def reducers(torch: Any) -> dict[type, Callable[[Any], Any]]:
    """The reducers of torch's types."""
    return {
        torch.Tensor: _reduce_tensor,
        torch.nn.Parameter: _reduce_tensor,
        torch.UntypedStorage: _reduce_memory,
        torch.storage.TypedStorage: lambda typed: (_typed, (typed.untyped(), typed.dtype)),
    }


def _reduce_memory(storage: Any) -> Any:
    """The memory of tensors as a buffer; torch's own way copies it twice, and once for each tensor that shares it."""
    if storage.device.type != "cpu":
        return NotImplemented
    torch = import_module("torch")
    content = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    return _memory, (pickle.PickleBuffer(content),)


def _memory(content: Any) -> Any:
    torch = import_module("torch")
    # frombuffer takes no empty buffer
    return torch.frombuffer(content, dtype=torch.uint8).untyped_storage() if len(content) else torch.UntypedStorage(0)


def _typed(storage: Any, dtype: Any) -> Any:
    return import_module("torch").storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)


def _reduce_tensor(tensor: Any) -> Any:
    """A tensor with its gradient, which torch leaves out; a computed one only if no gradient can flow through it any more.

    Raises:
        CannotCarryError: `backward()` could still be called on it, and its graph cannot be stored.
    """
    if tensor.grad_fn is not None:
        if tensor.retains_grad or not _is_spent(tensor.grad_fn):
            raise CannotCarryError("its gradient graph cannot be stored; keep x.detach(), or compute it under torch.no_grad()")
        return _without_graph, (tensor.detach(),)
    if not tensor.is_leaf or tensor.grad is None:
        return NotImplemented
    return (*tensor.__reduce_ex__(pickle.HIGHEST_PROTOCOL), tensor.grad, None, None, _set_gradient)


def _set_gradient(tensor: Any, gradient: Any) -> None:
    tensor.grad = gradient


def _is_spent(root: Any) -> bool:
    """Whether `backward()` has been through a graph: what it saved for it is then gone, and asking for it raises."""
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if type(node).__name__ == "SpentBackward":
            return True
        for name in dir(node):
            if name.startswith("_saved_") or name == "saved_tensors":
                try:
                    saved = getattr(node, name)
                except RuntimeError:
                    return True
                if hasattr(saved, "grad_fn"):
                    return False
        stack += [following for following, _ in node.next_functions]
    return False


def _without_graph(tensor: Any) -> Any:
    """The tensor as one that was computed, and whose `backward()` says that it cannot be called again."""
    return _spent().apply(tensor.requires_grad_())


@cache
def _spent() -> Any:
    function: Any = import_module("torch").autograd.Function

    class Spent(function):  # type: ignore[misc]  # torch is not imported where types are checked
        @staticmethod
        def forward(_context: Any, tensor: Any) -> Any:
            return tensor.detach()

        @staticmethod
        def backward(_context: Any, *_gradients: Any) -> Any:
            raise RunFailed(
                "backward() was called on a tensor that was restored from a snapshot, and had been called before it was taken",
                hint="Run the cell that computes it again: workbench resume RUN --from CELL",
            )

    return Spent
