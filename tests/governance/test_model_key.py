"""The key that models are signed with: one for each project, its owner's alone, and replaced by none that lies about."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.errors import BadInput
from workbench.governance.model_key import TRUSTED_KEY, model_key, public_key_of, trusted_key
from workbench.settings import Layout


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = model_key(Layout(root=tmp_path))
    content = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert model_key(Layout(root=tmp_path)).read_bytes() == content


def test_who_makes_it_at_once_gets_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: public_key_of(model_key(Layout(root=tmp_path))), range(16)))
    assert len(set(made)) == 1
    assert [path.name for path in Layout(root=tmp_path).keys.iterdir()] == ["models.pem"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    model_key(Layout(root=tmp_path)).chmod(0o640)
    with pytest.raises(BadInput, match="mode 0640"):
        model_key(Layout(root=tmp_path))


def test_what_is_no_key_is_refused_in_words(tmp_path: Path) -> None:
    model_key(Layout(root=tmp_path)).write_text("no key")
    with pytest.raises(BadInput, match="is no private key"):
        public_key_of(model_key(Layout(root=tmp_path)))


def test_a_public_key_laid_beside_the_private_one_is_not_trusted(tmp_path: Path) -> None:
    layout, stranger = Layout(root=tmp_path / "own"), Layout(root=tmp_path / "stranger")
    own = trusted_key(layout)
    (layout.keys / "models.pub").write_bytes(public_key_of(model_key(stranger)))
    assert trusted_key(layout) == own


def test_the_operator_names_the_key_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named.pub"
    named.write_bytes(b"the operator's")
    monkeypatch.setenv(TRUSTED_KEY, str(named))
    assert trusted_key(Layout(root=tmp_path)) == b"the operator's"
    named.unlink()
    with pytest.raises(BadInput, match=r"named\.pub, which cannot be read"):
        trusted_key(Layout(root=tmp_path))
