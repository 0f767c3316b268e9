from __future__ import annotations

import os
import subprocess
import sys

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from workbench.errors import BadInput, NotFound
from workbench.execution.secrets import look_up, places, resolve, scrubber_of_process
from workbench.execution.secrets.places import refusal


class Drawer(KeyringBackend):
    """A keyring of this test's own, by keyring's own interface."""

    priority = 1

    def __init__(self, **kept):
        super().__init__()
        self.kept, self.locked = kept, False

    def get_password(self, service, username):
        if self.locked:
            raise KeyringLocked("locked")
        return self.kept.get(username) if service == "workbench" else None

    def set_password(self, service, username, password):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def drawer(monkeypatch):
    for name in list(os.environ):
        if name.startswith("WORKBENCH_SECRET"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(places, "_resolved", {})
    before, own = keyring.get_keyring(), Drawer()
    keyring.set_keyring(own)
    yield own
    keyring.set_keyring(before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "secrets"
    made.mkdir(0o700)
    monkeypatch.setenv("WORKBENCH_SECRETS_DIR", str(made))
    return made


def keep(folder, name, content, mode=0o600):
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_environment_answers_first_then_a_file_then_the_keyring(folder, drawer, monkeypatch):
    drawer.kept["api-token.v1"] = "from the keyring"
    assert look_up("secret://api-token.v1") == "from the keyring"
    keep(folder, "api-token.v1", b"from a file\n")
    assert look_up("secret://api-token.v1") == "from a file"
    monkeypatch.setenv("WORKBENCH_SECRET_API_TOKEN_V1", "from the environment")
    assert look_up("secret://api-token.v1") == "from the environment"


def test_the_first_of_several_folders_that_knows_the_name_answers(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    keep(tmp_path / "b", "token", b"second folder")
    keep(tmp_path / "c", "token", b"third folder")
    monkeypatch.setenv("WORKBENCH_SECRETS_DIR", os.pathsep.join(str(tmp_path / name) for name in ("missing", "a", "b", "c")))
    assert look_up("secret://token") == "second folder"


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"abcd", "abcd"), (b"abcd\n", "abcd"), (b"abcd\r\n", "abcd"), (b"ab\ncd\n\n", "ab\ncd\n"), ("größe ".encode(), "größe ")],
)
def test_one_line_end_is_cut_off_a_file(folder, content, secret):
    keep(folder, "token", content)
    assert look_up("secret://token") == secret


def test_what_no_place_knows_is_answered_with_the_places(folder):
    with pytest.raises(NotFound, match="no place knows the secret secret://db-password") as caught:
        resolve("secret://db-password")
    for place in ("the variable WORKBENCH_SECRET_DB_PASSWORD", str(folder / "db-password"), "the keyring, service 'workbench'"):
        assert place in caught.value.hint


def test_without_a_folder_and_with_a_locked_keyring_the_answer_says_so(drawer):
    drawer.locked = True
    with pytest.raises(NotFound) as caught:
        resolve("secret://token")
    assert "WORKBENCH_SECRETS_DIR is not set" in caught.value.hint
    assert "did not answer (KeyringLocked)" in caught.value.hint


def test_the_keyring_package_is_optional():
    code = (
        "import sys; sys.modules['keyring'] = None\n"
        "from workbench.execution.secrets import resolve\n"
        "try: resolve('secret://token')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "the package keyring is not installed" in done.stdout


@pytest.mark.parametrize(
    "reference",
    [
        *["hunter2-hunter2", "secret://", "secret://../hunter2", "secret://.hunter2", "secret://hunter2/x", "secret://hunter2\n"],
        *[
            "SECRET://hunter2",
            " secret://hunter2",
            "secret://hunter2 ",
            "secret://hünter2",
            "secret://" + "hunter2" * 20,
            7,
            None,
        ],
    ],
)
def test_what_is_no_reference_is_refused_and_never_repeated(reference):
    with pytest.raises(BadInput, match="expected a reference") as caught:
        resolve(reference)
    assert "unter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "abc", "   a   ", "x" * 65_537])
def test_a_secret_of_an_impossible_length_is_refused_with_the_reason(monkeypatch, value):
    monkeypatch.setenv("WORKBENCH_SECRET_PIN", value)
    with pytest.raises(BadInput, match="characters, expected 4 to 65,536") as caught:
        resolve("secret://pin")
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o622, 0o610])
def test_a_file_that_others_may_use_is_refused(folder, mode):
    path = keep(folder, "token", b"a secret", mode)
    with pytest.raises(BadInput, match=f"others may use it \\(mode {mode:04o}") as caught:
        look_up("secret://token")
    assert caught.value.hint.startswith(f"chmod 600 {path}")


def test_what_is_no_file_or_no_text_is_refused(folder):
    (folder / "folder").mkdir(0o700)
    os.mkfifo(folder / "pipe", 0o600)
    keep(folder, "image", b"\xff\xfe\x00secret")
    for name, reason in (("folder", "not a file"), ("pipe", "not a file"), ("image", "not text in UTF-8")):
        with pytest.raises(BadInput, match=reason) as caught:
            look_up(f"secret://{name}")
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None, "an error that holds the bytes"


def status(mode, owner):
    return os.stat_result((0o100000 | mode, 1, 1, 1, owner, 0, 10, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "owner", "read_only", "accepted"),
    [
        (0o600, 1000, False, True),
        (0o400, 0, False, True),
        (0o644, 0, True, True),  # Kubernetes' default
        (0o444, 0, True, True),  # Docker
        (0o640, 0, True, True),  # Kubernetes with fsGroup
        (0o644, 0, False, False),
        (0o644, 1000, True, False),
        (0o600, 1001, False, False),
    ],
)
def test_a_container_may_mount_secrets_readable_for_all_if_root_owns_them_and_nobody_can_write(mode, owner, read_only, accepted):
    assert (refusal(status(mode, owner), read_only=read_only, user=1000) is None) is accepted


def test_mounted_secrets_may_be_links(folder):
    (folder / "..data").mkdir(0o700)
    keep(folder / "..data", "token", b"linked")
    (folder / "token").symlink_to("..data/token")
    assert look_up("secret://token") == "linked"


def test_a_process_knows_what_it_resolved_and_what_its_environment_holds(folder, drawer, monkeypatch):
    drawer.kept.update({"asked-for": "kept in a drawer", "not-asked": "another one"})
    keep(folder, "mounted", b"lies in a file")
    keep(folder, "open", b"readable for all", 0o644)
    monkeypatch.setenv("WORKBENCH_SECRET_UNUSED", "never asked for")
    monkeypatch.setenv("WORKBENCH_SECRET_WORD", "test")
    resolve("secret://asked-for")
    scrubber = scrubber_of_process()
    assert scrubber.find("it is kept in a drawer") == "asked-for"
    assert scrubber.find("it lies in a file") == "mounted"
    assert scrubber.find(repr(dict(os.environ))) == "unused"
    assert scrubber.find("another one, readable for all, test") is None
