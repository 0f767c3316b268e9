"""What libraries keep outside the namespace: random generators, options, filters. Called by `snapshots.folder`.

A library is only ever asked if it is already loaded; none is loaded to be asked.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["read_state", "write_state"]


@dataclass(frozen=True, slots=True)
class _Keeper:
    """How one library's state is read, and set again."""

    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]


def _read_numpy(numpy: Any) -> tuple[Any, ...]:
    return numpy.random.get_state(legacy=False), numpy.get_printoptions(), numpy.geterr()


def _write_numpy(numpy: Any, state: tuple[Any, ...]) -> None:
    generator, printing, errors = state
    numpy.random.set_state(generator)
    numpy.set_printoptions(**printing)
    numpy.seterr(**errors)


def _read_torch(torch: Any) -> dict[str, Any]:
    return {
        "generator": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None,
        "dtype": torch.get_default_dtype(),
        "deterministic": _deterministic(torch),
        "gradients": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),  # how a sum is split decides its last digits
    }


def _deterministic(torch: Any) -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _write_torch(torch: Any, state: dict[str, Any]) -> None:
    torch.set_default_dtype(state["dtype"])
    if state["deterministic"] != _deterministic(torch):  # setting it imports torch's compiler, which takes more than a second
        deterministic, only_warn = state["deterministic"]
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warn)
    torch.set_grad_enabled(state["gradients"])
    torch.set_num_threads(state["threads"])
    torch.set_rng_state(state["generator"])
    if state["cuda"] is None:
        torch.cuda.manual_seed_all(torch.initial_seed())  # what torch.manual_seed keeps for a GPU that is not in use yet
    else:
        torch.cuda.init()  # before a GPU's first use torch only notes these states, and would set the seed that it noted last
        torch.cuda.set_rng_state_all(state["cuda"])


def _options(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _options(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _write_pandas(pandas: Any, state: dict[str, Any]) -> None:
    now = dict(_options(pandas.options.d))
    for name, value in state.items():
        if name in now and now[name] != value:  # setting an option at all may warn that it is deprecated
            pandas.set_option(name, value)


def _read_matplotlib(matplotlib: Any) -> tuple[str | None, dict[str, Any]]:
    # dict's own method: RcParams would choose a backend when it is asked for one
    chosen = {name: value for name, value in dict.items(matplotlib.rcParams) if name != "backend"}
    return matplotlib.get_backend(auto_select=False), chosen


def _write_matplotlib(matplotlib: Any, state: tuple[str | None, dict[str, Any]]) -> None:
    backend, chosen = state
    dict.update(matplotlib.rcParams, chosen)
    if backend is not None and backend != matplotlib.get_backend(auto_select=False):
        matplotlib.use(backend)


def _write_warnings(_module: Any, filters: list[Any]) -> None:
    warnings.resetwarnings()  # tells the interpreter that what it has cached about filters is void
    warnings.filters[:] = filters  # type: ignore[index]  # typed as a sequence, and a list


_KEEPERS: Mapping[str, _Keeper] = {
    "pandas": _Keeper(lambda pandas: dict(_options(pandas.options.d)), _write_pandas),
    "polars": _Keeper(lambda polars: polars.Config.save(), lambda polars, state: polars.Config.load(state)),
    "sklearn": _Keeper(lambda sklearn: sklearn.get_config(), lambda sklearn, state: sklearn.set_config(**state)),
    "matplotlib": _Keeper(_read_matplotlib, _write_matplotlib),
    "random": _Keeper(lambda random: random.getstate(), lambda random, state: random.setstate(state)),
    "numpy": _Keeper(_read_numpy, _write_numpy),
    "torch": _Keeper(_read_torch, _write_torch),
    # the last, since what is imported above adds filters of its own
    "warnings": _Keeper(lambda module: list(module.filters), _write_warnings),
}


def read_state() -> dict[str, Any]:
    """The state of every library that is loaded, by module name; not copied, so pickle it before anything else runs."""
    return {name: keeper.read(sys.modules[name]) for name, keeper in _KEEPERS.items() if name in sys.modules}


def write_state(state: Mapping[str, Any]) -> None:
    """Sets again what `read_state` read; loads a library that was loaded then."""
    for name, kept in state.items():
        _KEEPERS[name].write(import_module(name), kept)
