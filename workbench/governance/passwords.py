"""Passwords of local users as Argon2id hashes. Called by `identity` only; a verification takes a tenth of a second or more.

RFC 9106, section 4, second recommended option: 64 MiB, three passes, four lanes; a server calls this off its event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from workbench.errors import BadInput

__all__ = ["RECOMMENDED", "Cost", "hashed", "matches"]

SHORTEST, LONGEST = 12, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one look at a password costs: passes over so many KiB of memory, in so many lanes."""

    passes: int = 3
    memory: int = 65536
    lanes: int = 4

    @property
    def weak(self) -> bool:
        """Whether it takes less work than RFC 9106 recommends: a stolen hash would be searched through too quickly."""
        return self.passes < RECOMMENDED.passes or self.memory < RECOMMENDED.memory


RECOMMENDED = Cost()


def hashed(password: str, cost: Cost = RECOMMENDED) -> str:
    """The Argon2id hash of a new password, with its salt and parameters.

    Raises:
        BadInput: it is shorter than 12 or longer than 1024 characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadInput(
            f"a password of {len(password)} characters was given, expected {SHORTEST} to {LONGEST}",
            hint="A few words in a row are long and easy to remember.",
        )
    return _hasher(cost).hash(password)


def matches(stored: str | None, password: str, cost: Cost = RECOMMENDED) -> bool:
    """Whether the password is the one of this hash. Without a hash the same work is done, and the answer is no."""
    try:
        return _hasher(cost).verify(stored or _nobodys(cost), password) and stored is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory, parallelism=cost.lanes)


@cache
def _nobodys(cost: Cost) -> str:
    return _hasher(cost).hash("the password of nobody")
