from __future__ import annotations

import base64
import hashlib
import string
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.execution.checking.secret_texts import known_secrets, redacted

from .conftest import Judge, cell, only, printed, prose, rules, shown

DIGEST = hashlib.sha256(b"a file").hexdigest()
PICTURE = base64.b64encode(bytes(range(256)) * 8).decode()

# Put together here, so that no scanner takes this file for a leak.
KEYS = {
    "GitHub": "ghp_" + "a1B2" * 9,
    "fine-grained GitHub": "github_pat_" + "a1B2_" * 14,
    "AWS": "AKIA" + "Q3ZXW2PLM7RT5NVD",
    "model provider": "sk-" + "proj-" + "aB3dE" * 8,
    "Hugging Face": "hf_" + "aBcD" * 9,
    "Google": "AIza" + "Sy" + "a1B-x" * 7,
    "Slack": "xoxb-" + "123456789012-" + "aB3d" * 6,
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_a_secret_of_a_known_format_is_found_everywhere_and_shown_nowhere(key: str, judge: Judge) -> None:
    source = judge(f"a = 1\nclient = connect('{key}')\nconnect = 1")
    prosaic = judge(prose(f"Use {key} here."))
    output = judge(cell("print(1)", 1, printed(f"using {key}\n")))
    table = judge(cell("1", 1, shown(1, text_html=f"<table><td>{key}</td></table>", text_plain="x")))
    for report in (source, prosaic, output, table):
        assert only(report, "secret").severity == "error"
        assert not any(key in found.message for found in report.findings)
    assert only(source, "secret").line == 2
    assert only(output, "secret").output == 1


def test_a_password_in_an_address_and_one_under_its_name_are_found(judge: Judge) -> None:
    for line in (
        "url = 'postgresql://ann:" + "h4nter2@db/x'",
        "password = '" + "hunter2'",
        'config = {"api_key": "' + 'k3y-of-mine"}',
    ):
        report = judge(line)
        assert rules(report) == ["secret"], line
        assert "hunter2" not in report.findings[0].message


def test_a_password_without_a_digit_and_a_random_text_are_only_suspected(judge: Judge) -> None:
    for line in ("password = 'letmein'", f"salt = '{'Zk3vQ9xW1rT7yU5pL2mN8bC4'}'", "key = '4f9a0c7e1b63d825af01'"):
        assert rules(judge(line)) == ["possible-secret"], line


HARMLESS = {
    "a digest": f"expected = '{DIGEST}'\nother = '{DIGEST[:40]}'",
    "an identifier": f"run = '{uuid.UUID(int=2**100 + 12345)}'",
    "an embedded picture": f"logo = 'data:image/png;base64,{PICTURE}'",
    "the environment": "import os\npassword = os.environ['DB_PASSWORD']\ntoken = os.getenv('TOKEN')",
    "a question": "import getpass\npassword = getpass.getpass('password: ')",
    "a reference": "password = 'secret://database'",
    "a placeholder": "password = '<your password>'\napi_key = 'YOUR_KEY'\ntoken = 'changeme'\nsecret = 'xxxx'",
    "words of language models": "tokenizer = 'bert-base-uncased-2'\npad_token = '[PAD]'\nmax_tokens = '512'",
    "an alphabet": f"letters = '{string.ascii_letters}'",
    "a long name": "kind = 'HistGradientBoostingClassifier'\npath = 'data/raw/credit_default_2024_final_v2'",
    "an allowed line": "password = 'hunter2'  # pragma: allowlist secret",
}


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_only_looks_like_a_secret_is_left_alone(source: str, judge: Judge) -> None:
    assert judge(source).findings == ()


def test_digests_and_pictures_in_outputs_are_left_alone(judge: Judge) -> None:
    page = f'<img src="data:image/png;base64,{PICTURE}"><script>var token = "{KEYS["AWS"]}x"</script>'
    report = judge(cell("1", 1, shown(1, text_plain=DIGEST, text_html=page, image_png=PICTURE), printed(f"{DIGEST} data.csv")))
    assert report.findings == ()


def test_a_message_that_quotes_a_secret_is_redacted() -> None:
    for key in KEYS.values():
        assert key not in redacted(f"could not log in with {key} today")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_hexadecimal_and_random_bytes_are_no_known_format(content: bytes) -> None:
    assert list(known_secrets(content.hex())) == []
