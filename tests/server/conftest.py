"""One server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.team import Team, team


@pytest.fixture(scope="session")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server with one person for each role, for tests that leave nothing behind which another would mind."""
    with team(tmp_path_factory.mktemp("server")) as made:
        yield made
