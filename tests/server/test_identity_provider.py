"""Logging in at the organisation's identity provider through the server, as a browser does, and the attacks on it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.governance.forgeries import ATTACKS
from tests.governance.issuer import CLIENT, Issuer, issuing
from tests.server.team import QUICK, serving
from workbench.errors import NotAllowed
from workbench.governance.oidc import Provider
from workbench.registry.login import enter_by_browser
from workbench.registry.remote import Sender
from workbench.server import Settings

BACK = "http://127.0.0.1:9/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as provider:
        yield provider


@pytest.fixture(scope="module")
def url(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that trusts this provider."""
    provider = Provider(issuer=issuer.url, client=CLIENT)
    with serving(Settings(folder=tmp_path_factory.mktemp("server"), provider=provider, logins=1000, cost=QUICK)) as address:
        yield address


@pytest.fixture(autouse=True)
def honest(issuer: Issuer) -> Iterator[None]:
    yield
    issuer.forge = None


def browse(address: str) -> threading.Thread:
    """A browser: goes where it is sent, the provider consents, and it comes back."""
    went = threading.Thread(target=httpx.get, args=(address,), kwargs={"follow_redirects": True, "trust_env": False})
    went.start()
    return went


def begun(url: str) -> dict[str, str]:
    """What the browser brings back from the provider after a login that the server began."""
    started = httpx.post(f"{url}/v1/login/start", json={"redirect": BACK}).json()
    went = httpx.get(started["url"], trust_env=False)
    brought = {name: values[0] for name, values in parse_qs(urlsplit(went.headers["location"]).query).items()}
    assert brought["state"] == started["state"]
    return brought


def finished(url: str, **brought: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/login/finish", json=brought, timeout=60)


def test_a_browser_login_gives_a_token_of_whom_the_provider_vouches_for(url: str) -> None:
    made = enter_by_browser(url, None, keep=False, show=browse)
    assert made.way == "browser"
    with Sender(url, made.token) as sender, pytest.raises(NotAllowed, match="jane holds no role"):
        sender.ask("GET", "/v1/whoami")  # nobody has granted her anything yet


def test_a_browser_login_that_is_kept_decides_nothing(url: str) -> None:
    kept = enter_by_browser(url, None, keep=True, show=browse)
    answer = httpx.post(f"{url}/v1/users", headers={"authorization": f"Bearer {kept.token}"}, json={})
    assert answer.status_code == 403


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_forged_identity_token_lets_nobody_in_and_the_reason_is_told(
    attack: Callable[[Issuer, dict[str, Any]], str], url: str, issuer: Issuer
) -> None:
    issuer.forge = lambda claims: attack(issuer, claims)
    answer = finished(url, **begun(url))
    assert (answer.status_code, answer.json()["error"]) == (401, "NotAuthenticated"), answer.text
    assert "identity token" in answer.json()["message"]
    assert "eyJ" not in answer.text, "no token is shown"


def test_a_state_that_was_never_begun_is_refused(url: str) -> None:
    brought = begun(url)
    answer = finished(url, state="invented", code=brought["code"])
    assert (answer.status_code, "not begun here" in answer.json()["message"]) == (401, True)


def test_what_was_used_once_is_refused_the_second_time(url: str) -> None:
    brought = begun(url)
    assert finished(url, **brought).status_code == 200
    answer = finished(url, **brought)
    assert (answer.status_code, "used already" in answer.json()["message"]) == (401, True)


def test_a_code_that_was_stolen_from_another_login_is_refused(url: str) -> None:
    stolen, mine = begun(url), begun(url)
    answer = finished(url, state=mine["state"], code=stolen["code"])
    assert (answer.status_code, "provider refused" in answer.json()["message"]) == (401, True)


@pytest.mark.parametrize("redirect", ["https://evil.example/callback", "http://127.0.0.1.evil.example:1/callback", "file:///etc"])
def test_a_browser_comes_back_to_this_machine_only(redirect: str, url: str) -> None:
    assert httpx.post(f"{url}/v1/login/start", json={"redirect": redirect}).status_code == 422


def test_a_provider_that_is_away_is_told(tmp_path: Path) -> None:
    provider = Provider(issuer="http://127.0.0.1:9", client=CLIENT)
    with serving(Settings(folder=tmp_path, provider=provider, cost=QUICK)) as url:
        answer = httpx.post(f"{url}/v1/login/start", json={"redirect": BACK})
    assert (answer.status_code, "cannot be reached" in answer.json()["message"]) == (401, True)


def test_without_a_provider_the_way_to_log_in_is_told(tmp_path: Path) -> None:
    with serving(Settings(folder=tmp_path, cost=QUICK)) as url:
        answer = httpx.post(f"{url}/v1/login/start", json={"redirect": BACK})
    assert (answer.status_code, "password" in answer.json()["hint"]) == (404, True)


def test_the_command_line_logs_in_by_the_browser(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workbench", "login", url, "--browser"]
    environment = {**os.environ, "WORKBENCH_CONFIG_DIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = next(line for line in process.stdout if "http" in line).split()[-1]
        browse(address).join()
        told = process.stdout.read()
    assert process.returncode == 0, told
    assert "logged in" in told
    assert (tmp_path / "login.json").stat().st_mode & 0o077 == 0
