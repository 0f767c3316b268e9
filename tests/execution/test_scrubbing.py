from __future__ import annotations

import base64
import codecs
import gzip
import html
import io
import json
import pprint
import quopri
import random
import shlex
import string
import textwrap
import traceback
import zipfile
import zlib
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.execution.secrets import Scrubber


def seeded(seed):
    return random.Random(seed)  # noqa: S311 - reproducible, and no secret


PLANTED = [
    "hunter22",
    "p@ss'w\"ord&<1>%41\\x41",
    "tok_9aZ-8kQ.71mXlPq2W",
    "naïve pässwörd 日本",
    "a b+c/d=e?f&g#h%i",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "😀secret😀emoji",
    "postgresql://admin:s3cr%40tPw@db.internal:5432/prod",
    "[.*+?^${}()|]",
    "a\tb\nc\\nd",
    "=41=3D=deadbeef",
    "'\"'\"'\\''quotes``",
]


def coloured(text):
    return "\x1b[31m" + "\x1b[0m\x1b[38;5;12m".join(text[place : place + 3] for place in range(0, len(text), 3)) + "\x1b[0m"


def half(text):
    """Every other byte is percent-encoded."""
    return "".join(f"%{byte:02x}" if place % 2 else quote(bytes([byte])) for place, byte in enumerate(text.encode()))


SPELLINGS = {
    "plain": lambda text: text,
    "in a sentence": lambda text: f"the secret is {text}, is it not?",
    "repr": repr,
    "repr of repr": lambda text: repr(repr(text)),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": lambda text: json.dumps({"token": text}),
    "JSON, unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps([text]))),
    "unicode_escape": lambda text: codecs.encode(text, "unicode_escape").decode(),
    "every byte as \\x": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "every byte in octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "character names": lambda text: text.encode("ascii", "namereplace").decode(),
    "backslash before all": lambda text: "".join(c if c.isalnum() or c == "\n" else f"\\{c}" for c in text),
    "URL": lambda text: quote(text, safe=""),
    "URL, lower": lambda text: quote(text, safe="").lower() if text.islower() else quote(text, safe=""),
    "URL of a form": lambda text: f"https://example.org/?t={quote_plus(text)}&x=1",
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "URL, partly": half,
    "HTML": html.escape,
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "HTML, decimal": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "HTML of a URL in JSON": lambda text: html.escape(json.dumps({"u": quote(text)})),
    "highlighted HTML": lambda text: "".join(f'<span class="k">{html.escape(c)}</span>' for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, one before": lambda text: base64.b64encode(b"u" + text.encode() + b":more").decode(),
    "base64, two before": lambda text: base64.b64encode(b"u:" + text.encode() + b"more").decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"admin:" + text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(b"something long stands before " + text.encode() * 4).decode(),
    "base64 in lines in JSON": lambda text: json.dumps(
        base64.encodebytes(b"something long before " * 2 + text.encode()).decode()
    ),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 of JSON": lambda text: base64.b64encode(json.dumps({"k": text}, ensure_ascii=False).encode()).decode(),
    "base64 of gzip": lambda text: base64.b64encode(gzip.compress(b"some words " * 9 + text.encode())).decode(),
    "a data: URL": lambda text: (
        f'<a href="data:text/plain;base64,{base64.b64encode(json.dumps("some words " + text).encode()).decode()}">'
    ),
    "base32": lambda text: base64.b32encode(b"abc" + text.encode()).decode(),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: f"0x{text.encode().hex().upper()}",
    "pairs with colons": lambda text: text.encode().hex(":"),
    "pairs with spaces": lambda text: text.encode().hex(" "),
    "pairs with dashes": lambda text: text.encode().hex("-").upper(),
    "a list of hexadecimals": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "a list of bytes": lambda text: str(list(text.encode())),
    "bits": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
    "a list of characters": lambda text: str(list(text)),
    "spaced": " ".join,
    "one in a line": "\n".join,
    "reversed": lambda text: text[::-1],
    "shell": shlex.quote,
    "SQL": lambda text: "'" + text.replace("'", "''") + "'",
    "CSV": lambda text: '"' + text.replace('"', '""') + '"',
    "quoted-printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "colours": coloured,
    "colours in JSON": lambda text: json.dumps(coloured(text)),
    "upper case": str.upper,
    "lower case": str.lower,
    "other case": str.swapcase,
    "UTF-16 read as latin-1": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "a traceback": lambda text: "".join(traceback.format_exception(ValueError(f"bad token {text!r}"))),
}
BINARY = {
    **{
        codec: (lambda text, codec=codec: text.encode(codec)) for codec in ("utf-8", "utf-16", "utf-16-be", "utf-32", "utf-32-be")
    },
    "among numbers": lambda text: seeded(1).randbytes(5000) + text.encode() + seeded(2).randbytes(5000),
    "UTF-16 among numbers": lambda text: seeded(1).randbytes(5001) + text.encode("utf-16-le") + b"\xff" * 99,
    "gzip": lambda text: b"junk" + gzip.compress(b"a" * 100 + text.encode()),
    "zlib": lambda text: b"\x78\x9cjunk" + zlib.compress(b"bb" * 500 + text.encode()),
    "zip": lambda text: zipped({"a.txt": b"x" * 1000 + text.encode()}),
    "stored in zip": lambda text: zipped({"a.txt": text.encode()}, zipfile.ZIP_STORED),
    "gzip in zip": lambda text: b"MZ..." + zipped({"b.gz": gzip.compress(b"q" * 50 + text.encode())}),
    "JSON in gzip": lambda text: gzip.compress(json.dumps([text] * 3).encode()),
}


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def held(spelt, secret):
    """Whether a scrubber finds the secret in its spelling and leaves nothing of it; a second pass changes nothing."""
    scrubber = Scrubber({"api-token": secret})
    scrubbed = scrubber.text(spelt)
    assert scrubber.find(spelt) == "api-token"
    assert "[secret://api-token]" in scrubbed
    assert scrubber.find(scrubbed) is None
    assert scrubber.text(scrubbed) is scrubbed


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_planted_secret_is_taken_out_however_it_is_spelt(spelling):
    for secret in PLANTED:
        held(SPELLINGS[spelling](secret), secret)


@pytest.mark.parametrize("spelling", BINARY)
def test_a_planted_secret_is_found_in_bytes(spelling):
    for secret in PLANTED:
        assert Scrubber({"other": "quite different", "api-token": secret}).find(BINARY[spelling](secret)) == "api-token", secret


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=60) | st.text(
    string.printable + "äß€日😀", min_size=8, max_size=60
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(secret=TEXTS, spelling=st.sampled_from(sorted(SPELLINGS)), before=st.text("abc :\n", max_size=4))
@example(secret="........", spelling="plain", before="")
@example(secret="%25%25%25", spelling="URL in a URL", before="")
def test_any_secret_is_taken_out_however_it_is_spelt(secret, spelling, before):
    assume(len(secret.strip()) >= 8)
    scrubber = Scrubber({"t": secret})
    around = " " if spelling == "base64 of gzip" else before  # which is only found by itself
    spelt = around + SPELLINGS[spelling](secret) + around
    scrubbed = scrubber.text(spelt)
    assert scrubbed != spelt
    assert scrubber.find(scrubbed) is None
    assert scrubber.text(scrubbed) is scrubbed


@pytest.mark.parametrize(
    "spelling", ["plain", "repr", "JSON", "URL", "HTML", "base64", "hexadecimal", "a list of bytes", "reversed"]
)
def test_a_short_secret_is_found_as_it_is_and_encoded_by_itself(spelling):
    for secret in ("x7Qz", "1234a", "'a\"b", "ä日x!", "a.b-c", "q q q"):
        held(SPELLINGS[spelling](secret), secret)


@pytest.mark.parametrize("value", ["", "abc", "  a  ", "x" * 65_537])
def test_what_would_shred_every_text_is_refused(value):
    with pytest.raises(BadInput, match="characters, expected 4 to 65,536"):
        Scrubber({"pin": value})


KEY = "\n".join(textwrap.wrap(base64.b64encode(seeded(3).randbytes(900)).decode(), 64))
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----\n"


def test_each_line_of_a_key_is_a_secret_but_not_what_every_key_begins_with():
    scrubber = Scrubber({"key": PEM})
    for line in KEY.splitlines():
        assert scrubber.text(f"> {line}\n") == "> [secret://key]\n"
    clean = "-----BEGIN RSA PRIVATE KEY-----"
    assert scrubber.text(clean) is clean
    assert KEY.splitlines()[2] not in scrubber.text(json.dumps(PEM))
    assert scrubber.text(PEM).split("[secret://key]") == [
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "\n-----END RSA PRIVATE KEY-----\n",
    ]


def test_short_lines_of_a_longer_secret_are_secret_too():
    scrubber = Scrubber({"words": "password=alpha\nhunter22\nab\n"})
    assert scrubber.text("it says hunter22 and ab") == "it says [secret://words] and ab"


@pytest.mark.parametrize("length", [16, 20, 39])
def test_a_part_of_a_long_secret_is_a_secret(length):
    secret = "".join(seeded(5).choices(string.ascii_letters, k=40))
    scrubber = Scrubber({"t": secret})
    for part in (secret[:length], secret[-length:], secret[3 : 3 + length]):
        assert scrubber.text(f"token={part}…") == "token=[secret://t]…"
        assert scrubber.text(repr(part.encode())) == "b'[secret://t]'"
    assert scrubber.text(secret[:15]) == secret[:15]


def test_three_quarters_of_a_shorter_secret_are_a_secret():
    scrubber = Scrubber({"t": "abCDefGHijKLmn"})
    assert scrubber.text("abCDefGHijK…") == "[secret://t]…"
    assert scrubber.text("abCDefGHij…") == "abCDefGHij…"


def test_a_secret_is_found_across_lines_and_frames():
    secret = "".join(seeded(6).choices(string.ascii_letters + string.digits, k=60))
    scrubber = Scrubber({"t": secret})
    assert scrubber.text("\n".join(textwrap.wrap(secret, 11))) == "[secret://t]"
    framed = "│ " + " │\n│ ".join(textwrap.wrap(secret, 7)) + " │"
    assert scrubber.text(framed) == "│ [secret://t] │"
    assert secret[:20] not in scrubber.text(pprint.pformat([secret.encode() * 3], width=40))


def test_a_password_in_a_url_is_a_secret_of_its_own():
    scrubber = Scrubber({"db": "postgresql://admin:s3cr%40tPw@db.internal:5432/prod"})
    assert scrubber.text("password authentication failed: s3cr@tPw") == "password authentication failed: [secret://db]"


def test_the_words_around_a_secret_stay():
    scrubber = Scrubber({"a": "first-secret-value", "b": "second/secret+value"})
    text = "Fehler 😀: first-secret-value (first-secret-value), zweitens second%2Fsecret%2Bvalue\nü"
    assert scrubber.text(text) == "Fehler 😀: [secret://a] ([secret://a]), zweitens [secret://b]\nü"


@pytest.mark.parametrize(
    ("name", "secret"), [("api-token", "api-token"), ("s", "secret://"), ("hidden", "hidden"), ("x", "[secret")]
)
def test_a_secret_that_is_its_own_name_is_taken_out_as_well(name, secret):
    scrubber = Scrubber({name: secret})
    assert scrubber.find(scrubber.text(f"a {secret} b")) is None
    assert scrubber.text(f"a {secret} b").startswith("a ")


def test_nothing_to_look_for_costs_nothing_and_changes_nothing():
    scrubber, value = Scrubber({}), {"a": ["b"]}
    assert not scrubber
    assert (scrubber.content(value) is value, scrubber.text("abc"), scrubber.find(b"abc")) == (True, "abc", None)


CLEAN = Scrubber({f"s{place}": "".join(seeded(place).choices(string.ascii_letters, k=12 + place)) for place in range(8)})


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_holds_no_secret_is_the_same_object(value):
    assert CLEAN.content(value) is value


def test_real_prose_code_and_pictures_hold_no_secret(root):
    for path in [*root.glob("*.md"), *root.glob("workbench/execution/**/*.py"), *root.glob("notebooks/*.ipynb")]:
        assert CLEAN.find(path.read_bytes()) is None
        text = path.read_text()
        assert CLEAN.text(text) is text
    picture = base64.b64encode(seeded(1).randbytes(200_000)).decode()
    assert CLEAN.text(picture) is picture
