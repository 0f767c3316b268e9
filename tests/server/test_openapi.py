"""The server's OpenAPI says what it does: every address is asked everything that its schema allows, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from tests.server.team import Team, team
from workbench.server.routes import ROUTES

EXAMPLES = {"few": 2, "many": 60}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server of this module's own: whatever is asked here is also done."""
    with team(tmp_path_factory.mktemp("openapi")) as made:
        made.hire("leaving", ("viewer", "*"))
        made.hire("changing", ("viewer", "*"))
        yield made


def sender(path: str, person: str, crew: Team) -> str:
    """Who asks: for what ends a login, somebody who logs in again for it; for what locks a name, somebody else's name."""
    if path == "/v1/logout":
        crew.log_in("leaving")
        return "leaving"
    return "changing" if path == "/v1/password" else person


@pytest.mark.parametrize("amount", ["few", pytest.param("many", marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
@pytest.mark.parametrize("person", ["scientist", "approver", "operator", "admin", None])
def test_no_request_makes_the_server_fail_and_every_answer_is_of_its_schema(
    person: str | None, mode: GenerationMode, amount: str, asked: Team
) -> None:
    schema = schemathesis.openapi.from_dict(asked.ask("viewer", "GET", "/v1/openapi.json").json())
    schema.config.base_url = asked.url
    operations = 0
    for found in schema.get_all_operations():
        operation, operations = found.ok(), operations + 1
        takes = operation.body or operation.path_parameters or operation.query
        if mode is GenerationMode.NEGATIVE and not takes:
            continue  # nothing about it could be wrong

        @settings(
            max_examples=EXAMPLES[amount],
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            who = None if person is None else sender(case.operation.path, person, asked)
            answer = case.call(headers={} if who is None else {"authorization": f"Bearer {asked.tokens[who]}"})
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            case.validate_response(answer, checks=[checks.not_a_server_error, checks.response_schema_conformance])

        ask()
    assert operations == len(ROUTES)  # none is left out
