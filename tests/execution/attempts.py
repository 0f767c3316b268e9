"""Attempts at one notebook, each of which may continue an earlier one, by papermill with the engine of this project."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from workbench.execution.resuming import Continuation
from workbench.execution.warm.kept import Kept, kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run: its executed notebook, and what it raised."""

    path: Path
    error: Exception | None

    @property
    def notebook(self) -> Any:
        """The executed notebook, checked against the format."""
        found = nbformat.read(self.path, as_version=4)
        nbformat.validate(found)
        return found

    @property
    def code(self) -> list[Any]:
        """The code cells that the notebook had before papermill added its own."""
        cells = [cell for cell in self.notebook.cells if cell.cell_type == "code"]
        return [cell for cell in cells if "injected-parameters" not in cell.metadata.get("tags", ())]

    @property
    def facts(self) -> Any:
        """What the engine notes of the run."""
        return self.notebook.metadata.workbench

    def said(self, position: int) -> str:
        """What a cell put out, without the banner of a restored one."""
        outputs = [each for each in self.code[position].outputs if each.get("metadata", {}).get("workbench") != "restored"]
        return "".join(each.get("text") or each.get("data", {}).get("text/plain", "") for each in outputs)


@dataclass(slots=True)
class Attempts:
    """Runs cells as one notebook, again and again; what each cell really executed is counted in a file."""

    folder: Path
    made: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """One line for each cell that was executed, with its position."""
        return self.folder / "executed.log"

    @property
    def snapshots(self) -> Path:
        """Where durable snapshots lie."""
        return self.folder / "snapshots"

    def executed(self) -> list[int]:
        """The positions of the cells executed since this was last asked."""
        lines = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [int(line) for line in lines]

    def __call__(self, *sources: str, previous: Attempt | None = None, tagged: str = "", **given: Any) -> Attempt:
        """Runs the cells; an error of the notebook is part of what is returned."""
        chosen = {"keep_seconds": 60.0, **self.options, **given}
        parameters = chosen.pop("parameters", {})
        timeout = chosen.pop("execution_timeout", None)
        self.made += 1
        source, executed = self.folder / "in.ipynb", self.folder / f"out{self.made}.ipynb"
        cells = [
            nbformat.v4.new_code_cell(f"open({str(self.log)!r}, 'a').write('{position}\\n');\n{text}", id=f"cell-{position}")
            for position, text in enumerate(sources)
        ]
        if tagged:
            cells.insert(0, nbformat.v4.new_code_cell(tagged, id="parameters", metadata={"tags": ["parameters"]}))
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), source)
        continuation = Continuation(
            snapshots=str(self.snapshots), previous=None if previous is None else str(previous.path), **chosen
        )
        error: Exception | None = None
        try:
            papermill.execute_notebook(
                str(source),
                str(executed),
                parameters,
                engine_name="workbench",
                progress_bar=False,
                cwd=str(self.folder),
                continuation=continuation,
                execution_timeout=timeout,
            )
        except (PapermillExecutionError, DeadKernelError, TimeoutError) as raised:
            error = raised
        return Attempt(path=executed, error=error)

    def kept(self) -> list[Kept]:
        """The processes that attempts have left."""
        return [entry for entry in kept() if Path(entry.notebook).parent == self.folder]

    def forget(self) -> None:
        """Kills what attempts have left in memory."""
        left = [psutil.Process(entry.pid) for entry in self.kept() if psutil.pid_exists(entry.pid)]
        for process in left:
            os.kill(process.pid, signal.SIGKILL)
        psutil.wait_procs(left, 10)

    def wait_until_kept(self, count: int, seconds: float = 20) -> list[Kept]:
        """What attempts have left, once there are so many: a process ends a little after it was told."""
        deadline = time.monotonic() + seconds
        while len(found := self.kept()) != count and time.monotonic() < deadline:
            time.sleep(0.05)
        return found


def training(device: str) -> tuple[str, ...]:
    """Six cells that train a torch model with dropout on a device; each of the last four draws random numbers."""
    return (
        "import torch\ntorch.set_num_threads(1)\n_ = torch.manual_seed(3)",
        "layers = torch.nn.Linear(8, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)\n"
        f"model = torch.nn.Sequential(*layers).to('{device}')\nbest = torch.optim.Adam(model.parameters(), lr=0.01)\n"
        f"x = torch.randn(256, 8, device='{device}')\ny = x.sum(1, keepdim=True)\n"
        "def train(epochs):\n    losses = []\n    for _ in range(epochs):\n        best.zero_grad()\n"
        "        loss = torch.nn.functional.mse_loss(model(x), y)\n        loss.backward()\n        best.step()\n"
        "        losses.append(loss.item())\n    return losses",
        "losses = train(20)",
        "losses += train(5)",
        "losses += train(20)",
        f"print(losses, torch.randn(3, device='{device}').tolist(), x.device, model[0].weight.device)\n"
        "print(sum(each.sum().item() for each in model.parameters()))",
    )
