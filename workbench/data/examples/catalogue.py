"""Where each shipped data set lies and how it is meant to be learned. Called by `workbench init NAME --example`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import NotFound, did_you_mean

__all__ = ["EXAMPLES", "Example", "example"]

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A shipped data set: its file, the note on its origin and licence that must travel with it, and the roles of columns."""

    name: str
    path: Path
    readme: Path
    target: str
    positive: str | None
    favourable: str | None
    sensitive: tuple[str, ...]
    entity: str | None


# EDUCATION, MARRIAGE and AGE also describe people, but have groups of 14 and 54 rows in 30,000, or dozens of groups: with
# them every review would end INCONCLUSIVE. Whoever has the question adds them in workbench.toml.
EXAMPLES = {
    "credit": Example(
        name="credit",
        path=_HERE / "credit" / "credit_default.parquet",
        readme=_HERE / "credit" / "README.md",
        target="default_next_month",
        positive="1",
        favourable="0",
        sensitive=("SEX",),
        entity="ID",
    )
}


def example(name: str) -> Example:
    """The shipped data set with this name.

    Raises:
        NotFound: there is none; the hint names those that exist.
    """
    if name not in EXAMPLES:
        raise NotFound(f"no example data set {name!r}", hint=did_you_mean(name, EXAMPLES))
    return EXAMPLES[name]
