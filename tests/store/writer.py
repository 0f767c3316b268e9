"""A program that the tests kill while it writes: `writer.py open|run URL`, `add URL COUNT`, `object FOLDER` or `replace FILE`."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from workbench.records import Acceptance, new_id
from workbench.store import Control, Objects
from workbench.store.objects import replace_file

MEGABYTE = 1 << 20


def say(text: str) -> None:
    """Tells the test, which may kill us at any moment from now on."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def add(url: str, count: str) -> None:
    """Adds records that follow from dataset-1, and says the id of each that was acknowledged; count 0 never ends."""
    control = Control(url)
    for _ in range(int(count)) if int(count) else itertools.count():
        record = Acceptance(
            id=new_id("acceptance"),
            parent="dataset-1",
            actor=str(os.getpid()),
            zone="local",
            revision="r1",
            reason="because " * 50,
        )
        control.add(record)
        say(record.id)
    control.close()


def make(url: str) -> None:
    """Opens the database, which makes its tables, and closes it."""
    Control(url).close()


def run(url: str) -> None:
    """Starts a run of its own, and waits to be killed."""
    Control(url).start_run(run="experiment-1", flow="experiment", actor="ann", process=os.getpid())
    say("started")
    sys.stdin.read()


def store(folder: str) -> None:
    """Writes half an object, and goes on until it is killed."""

    def fill(path: Path) -> None:
        with path.open("wb") as stream:
            while True:
                stream.write(b"x" * MEGABYTE)
                say("written")

    Objects(Path(folder)).write(fill)


def replace(file: str) -> None:
    """Replaces one file again and again, by as many a as there were b."""
    for letter in itertools.cycle((b"a", b"b")):
        replace_file(Path(file), letter * MEGABYTE)
        say("replaced")


if __name__ == "__main__":
    {"open": make, "add": add, "run": run, "object": store, "replace": replace}[sys.argv[1]](*sys.argv[2:])
