"""What keeps a stranger, a thief of tokens and a slow or greedy visitor from getting far."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.team import PASSWORD, PROJECT, QUICK, Team, serving, team
from tests.server.test_guard import SHAPE, chunked
from workbench.server import Settings
from workbench.server.connections import HEADER_SECONDS
from workbench.server.routes import ROUTES, Route
from workbench.server.state import bootstrap_token

OBJECTS = f"/v1/projects/{PROJECT}/objects"


def broken() -> dict[str, str]:
    raise RuntimeError("the secret of the inside")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server that lets in three logins a minute, uploads of 1,000 bytes, and bodies that take a second; one address faults."""
    folder = tmp_path_factory.mktemp("strict")
    routes = (*ROUTES, Route("GET", "/v1/broken", "public", broken))
    with serving(Settings(folder=folder, logins=3, upload=1000, seconds=1.0, cost=QUICK, routes=routes)) as url:
        yield Team(url=url, folder=folder)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server with people, which takes little and waits for a second."""
    with team(tmp_path_factory.mktemp("brief"), upload=1000, seconds=1.0) as made:
        yield made


def attempt(strict: Team, address: str, name: str) -> httpx.Response:
    """A login from one of this machine's own addresses."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
        return client.post(f"{strict.url}/v1/login", json={"name": name, "password": "wrong"}, timeout=30)


def test_one_address_has_so_many_logins_a_minute_whatever_the_names(strict: Team) -> None:
    statuses = [attempt(strict, "127.0.0.11", f"name-{number}").status_code for number in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    refused = attempt(strict, "127.0.0.11", "another")
    assert (refused.headers["retry-after"], set(refused.json())) == ("60", SHAPE)
    assert attempt(strict, "127.0.0.12", "name-9").status_code == 401, "other addresses are let in"


def test_logins_that_succeed_are_not_counted_since_an_office_shares_its_address(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with serving(Settings(folder=folder, logins=3, cost=QUICK)) as url:
        first = {"token": bootstrap_token(folder, None), "name": "ann", "password": PASSWORD}
        assert httpx.post(f"{url}/v1/bootstrap", json=first, timeout=30).status_code == 200
        bodies = [{"name": "ann", "password": PASSWORD}] * 5 + [{"name": "ann", "password": "wrong"}] * 4
        statuses = [httpx.post(f"{url}/v1/login", json=body, timeout=30).status_code for body in bodies]
    assert statuses == [200] * 5 + [401] * 3 + [429]


def test_one_name_has_so_many_logins_a_minute_whatever_the_addresses(strict: Team) -> None:
    statuses = [attempt(strict, f"127.0.0.{20 + number}", "ann").status_code for number in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


def test_the_bootstrap_token_is_not_guessed_without_a_limit(strict: Team) -> None:
    body = {"token": "wbt_guess", "name": "eve", "password": PASSWORD}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.40")) as client:
        statuses = [client.post(f"{strict.url}/v1/bootstrap", json=body, timeout=30).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]


def test_a_fault_of_the_server_tells_nothing_of_its_inside(strict: Team) -> None:
    answer = strict.ask(None, "GET", "/v1/broken")
    assert (answer.status_code, set(answer.json())) == (500, SHAPE)
    assert not any(word in answer.text for word in ("secret", "Runtime", "Traceback", ".py"))
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("size", [1000, 1001])
def test_an_upload_is_taken_up_to_its_limit_with_its_length_told_or_not(size: int, brief: Team) -> None:
    content = b"x" * size
    path = f"{OBJECTS}/{hashlib.sha256(content).hexdigest()}"
    expected = 200 if size == 1000 else 413
    headers = {"content-type": "application/octet-stream"}
    assert brief.ask("scientist", "PUT", path, content=content, headers=headers).status_code == expected
    token = brief.tokens["scientist"]
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    head += "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(brief) as line:
        line.sendall(head.encode() + chunked(content[:600], content[600:]))
        assert line.recv(65536).startswith(b"HTTP/1.1 %d " % expected)
    assert list((brief.folder / "projects" / PROJECT / "incoming").iterdir()) == [], "nothing half arrived is left"


def connected(crew: Team) -> socket.socket:
    host, port = crew.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=3 * HEADER_SECONDS)


def test_who_connects_and_does_not_finish_a_request_is_hung_up_on(brief: Team) -> None:
    started = time.monotonic()
    lines = {begun: connected(brief) for begun in (b"", b"GET /v1/health HTTP/1.1\r\nHost: local")}
    for begun, line in lines.items():
        line.sendall(begun)
    for line in lines.values():
        assert line.recv(100) == b""
        line.close()
    assert HEADER_SECONDS - 1 < time.monotonic() - started < 2 * HEADER_SECONDS


def test_dripping_the_second_request_of_a_connection_gains_no_time(brief: Team) -> None:
    with connected(brief) as line:
        line.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 200 ")
        line.settimeout(1.0)
        started, dripped = time.monotonic(), iter(b"GET /v1/health HTTP/1.1\r\nHost: localhost")
        with pytest.raises(ConnectionError):
            while time.monotonic() - started < 3 * HEADER_SECONDS:
                line.sendall(bytes([next(dripped)]))
                try:
                    if not line.recv(100):
                        raise ConnectionResetError
                except TimeoutError:
                    continue
        assert time.monotonic() - started < 2 * HEADER_SECONDS


@pytest.mark.parametrize("drip", [b"", b"["])
def test_a_body_that_does_not_come_is_not_waited_for(drip: bytes, brief: Team) -> None:
    head = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    with connected(brief) as line:
        line.sendall(head + drip)
        answer = line.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 "), answer


def test_an_upload_that_stops_is_not_waited_for_and_leaves_nothing(brief: Team) -> None:
    token = brief.tokens["scientist"].encode()
    head = b"PUT " + OBJECTS.encode() + b"/" + b"0" * 64 + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token
    head += b"\r\nContent-Type: application/octet-stream\r\nContent-Length: 900\r\n\r\nbeginning"
    with connected(brief) as line:
        line.sendall(head)
        assert line.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert list((brief.folder / "projects" / PROJECT / "incoming").iterdir()) == []


def user_of(crew: Team, name: str) -> str:
    return next(str(user["id"]) for user in crew.ask("admin", "GET", "/v1/users").json() if user["name"] == name)


def test_a_token_for_programs_reaches_what_it_was_made_for_and_no_more_than_its_owner(brief: Team) -> None:
    made = brief.ask("operator", "POST", "/v1/tokens", json={"scopes": ["model:read"], "days": 1})
    brief.tokens["program"] = made.json()["token"]
    models = f"/v1/projects/{PROJECT}/models"
    assert brief.ask("program", "GET", models).status_code == 200
    refused = brief.ask("program", "POST", f"{models}/model-1/promote", json={"to": "staging"})
    assert (refused.status_code, "narrowed" in refused.json()["message"]) == (403, True)
    assert brief.ask("operator", "POST", f"{models}/model-1/promote", json={"to": "staging"}).status_code == 404
    beyond = brief.ask("operator", "POST", "/v1/tokens", json={"scopes": ["model:approve"]})
    assert (beyond.status_code, "model:approve" in beyond.json()["message"]) == (403, True)
    again = brief.ask("program", "POST", "/v1/tokens", json={})
    assert again.status_code == 403, "a program makes no token, so none renews itself for ever"


def test_a_role_that_is_taken_away_is_gone_from_every_token_at_once(brief: Team) -> None:
    brief.hire("mover", ("operator", PROJECT), ("scientist", PROJECT))
    brief.tokens["its program"] = brief.ask("mover", "POST", "/v1/tokens", json={"days": 1}).json()["token"]
    brief.tokens["its run"] = brief.ask("mover", "POST", "/v1/runs/run-of-mover/token").json()["token"]
    promote = f"/v1/projects/{PROJECT}/models/model-1/promote"
    assert brief.ask("its program", "POST", promote, json={"to": "staging"}).status_code == 404
    assert brief.ask("its run", "GET", f"/v1/projects/{PROJECT}/models").status_code == 200
    for role in ("operator", "scientist"):
        path = f"/v1/users/{user_of(brief, 'mover')}/grants"
        assert brief.ask("admin", "DELETE", path, json={"role": role, "project": PROJECT}).status_code == 200
    assert brief.ask("its program", "POST", promote, json={"to": "staging"}).status_code == 403
    assert brief.ask("its run", "GET", f"/v1/projects/{PROJECT}/models").status_code == 403
    assert brief.ask("mover", "GET", "/v1/whoami").status_code == 401, "a login ends with the change"


def test_whoever_is_disabled_has_no_token_left(brief: Team) -> None:
    brief.hire("gone", ("viewer", PROJECT))
    brief.tokens["left behind"] = brief.ask("gone", "POST", "/v1/tokens", json={"days": 1}).json()["token"]
    assert brief.ask("left behind", "GET", "/v1/whoami").status_code == 200
    assert brief.ask("admin", "POST", f"/v1/users/{user_of(brief, 'gone')}/disable").status_code == 200
    assert [brief.ask(who, "GET", "/v1/whoami").status_code for who in ("gone", "left behind")] == [401, 401]


def test_a_changed_password_ends_every_login(tmp_path: Path) -> None:
    with serving(Settings(folder=tmp_path, cost=QUICK)) as url:
        crew = Team(url=url, folder=tmp_path)
        once = bootstrap_token(tmp_path, None)
        assert crew.ask(None, "POST", "/v1/bootstrap", json={"token": once, "name": "ann", "password": PASSWORD}).is_success
        crew.log_in("ann")
        changed = {"old": PASSWORD, "new": "another long password"}
        assert crew.ask("ann", "POST", "/v1/password", json={**changed, "old": "wrong"}).status_code == 401
        assert crew.ask("ann", "POST", "/v1/password", json=changed).status_code == 200
        assert crew.ask("ann", "GET", "/v1/whoami").status_code == 401
        assert crew.ask(None, "POST", "/v1/login", json={"name": "ann", "password": PASSWORD}).status_code == 401
