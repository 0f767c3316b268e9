"""A program that runs notebooks in children of its own, which can be killed: for each line `SOURCE OUTPUT` it prints a pid.

A further line makes it collect the child and print how that ended: the exit code, and the last line of what was raised.
"""

from __future__ import annotations

import os
import sys

import papermill

import workbench.execution.bookkeeping
import workbench.execution.client
import workbench.execution.engine
import workbench.execution.parameters
import workbench.execution.secrets
import workbench.execution.warm.imports  # noqa: F401 - all of these so that no child imports them anew


def run(source: str, output: str) -> str:
    """Runs one notebook; the last line of what went wrong, or nothing."""
    try:
        papermill.execute_notebook(source, output, engine_name="workbench", kernel_name="python3", progress_bar=False)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    return ""


def main() -> None:
    """Serves until the end of stdin."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, run(*line.split()).encode())
            os._exit(0)
        os.close(writing)
        print(child, flush=True)  # noqa: T201 - lines for the test
        sys.stdin.readline()
        _, status = os.waitpid(child, 0)
        with open(reading) as said:
            print(os.waitstatus_to_exitcode(status), said.read(), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
