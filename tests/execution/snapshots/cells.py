"""A kernel for the tests of snapshots: real IPython in a process of its own, whose `__main__` is the notebook's.

`python cells.py FOLDER`: reads on stdin one JSON object with `cells`, `resume` (continue from the longest stored prefix) and
`secret`; writes one JSON object with the numbers of the cells that ran, what each snapshot refused, the error that ended the run
(if any) and what `report` in the namespace holds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def _run(folder: Path, cells: list[str], *, resume: bool, secret: str | None) -> dict[str, object]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    import __main__
    from workbench.execution.snapshots import Snapshots, baseline, chain, origin, snapshot_key

    del __main__._run
    quiet = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
    shell = InteractiveShell.instance(config=quiet, user_module=__main__)
    snapshots = Snapshots(
        folder / "snapshots",
        snapshot_key(folder / "key"),
        scrub=None if secret is None else lambda blob: "token" if secret.encode() in blob else None,
    )
    before, link = baseline(shell), origin(parameters={}, data={}, environment="tests")
    links = [link := chain(link, cell) for cell in cells]
    stored = [number for number, link in enumerate(links, 1) if resume and snapshots.has(link)]
    first = stored[-1] if stored else 0
    restored = snapshots.restore(links[first - 1], shell).names if first else ()
    said: dict[str, object] = {"ran": [], "refused": {}, "restored": sorted(restored), "error": None}
    for number, cell in enumerate(cells[first:], first + 1):
        result = shell.run_cell(cell, store_history=True)
        said["ran"].append(number)
        if not result.success:
            said["error"] = repr(result.error_before_exec or result.error_in_exec)
            break
        taken = snapshots.take(links[number - 1], shell, before)
        if taken.refused:
            said["refused"][number] = [[each.name, each.type, each.why] for each in taken.refused]
    return said | {"report": shell.user_ns.get("report"), "count": shell.execution_count}


if __name__ == "__main__":
    _asked = json.load(sys.stdin)
    _said = _run(Path(sys.argv[1]), _asked["cells"], resume=_asked["resume"], secret=_asked["secret"])
    sys.__stdout__.write("\n" + json.dumps(_said, default=str))
    sys.__stdout__.flush()
