"""Durable snapshots: what a kernel knows after a good cell, written so that another process can continue from there.

A snapshot is found by a chain of hashes over everything that led to it: parameters, upstream data, installed packages and each
executed cell, so that it fits exactly the runs that would compute the same. It holds one pickle of the whole namespace, because
only one pickle keeps `b is a`, beside the state that libraries keep outside it: random generators, options, folders. Before a
byte is unpickled its HMAC is checked. What cannot be carried to another process is named, and that boundary is then no place to
continue from.
"""

from workbench.execution.snapshots.baseline import Baseline, baseline
from workbench.execution.snapshots.budget import Budget, size_of
from workbench.execution.snapshots.chain import chain, environment, origin
from workbench.execution.snapshots.folder import Restored, Snapshots, Taken
from workbench.execution.snapshots.key import snapshot_key
from workbench.execution.snapshots.sealed import Refused

__all__ = [
    "Baseline",
    "Budget",
    "Refused",
    "Restored",
    "Snapshots",
    "Taken",
    "baseline",
    "chain",
    "environment",
    "origin",
    "size_of",
    "snapshot_key",
]
