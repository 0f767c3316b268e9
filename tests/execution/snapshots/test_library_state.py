from __future__ import annotations

import pickle
import subprocess
import sys

RESTORE = """
import pickle, sys, torch
from workbench.execution.snapshots.state import write_state
write_state(pickle.load(sys.stdin.buffer))
print(torch.are_deterministic_algorithms_enabled(), "torch._inductor" in sys.modules)
"""


def restored(**changed: object) -> list[str]:
    """What a process says of itself that restored the state of this one."""
    import torch

    from workbench.execution.snapshots.state import read_state

    torch.manual_seed(0)
    state = read_state()
    kept = pickle.dumps({"torch": state["torch"] | changed})
    return subprocess.run([sys.executable, "-c", RESTORE], input=kept, capture_output=True, check=True).stdout.decode().split()


def test_restoring_torch_does_not_import_its_compiler() -> None:
    assert restored() == ["False", "False"]


def test_that_algorithms_are_to_be_deterministic_is_restored() -> None:
    assert restored(deterministic=(True, False))[0] == "True"
