"""Secrets in the sources and outputs of a notebook. Called by `trust`, and by whoever quotes a notebook in a message.

Formats and keywords come from detect-secrets, in the maintained fork bc-detect-secrets
(https://github.com/bridgecrewio/detect-secrets). Its detectors are asked directly, so that nothing is verified over the network.
Random-looking texts count only in sources and only in quotes; digests, ids and embedded pictures are not taken for secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from workbench.execution.checking.document import EMBEDDED, Cell, Document, texts_of
from workbench.execution.checking.report import Finding, finding

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

__all__ = ["find_secrets", "known_secrets", "redacted"]

FORMATS = {
    "GitHub token": re.compile(r"\bgithub_pat_\w{60,}"),
    "GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "Google API key": re.compile(r"\bAIza[\w-]{35}"),
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "model provider's key": re.compile(r"\bsk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{32,}"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL),
    "package index token": re.compile(r"\bpypi-AgE[\w-]{50,}"),
}
"""Formats that detect-secrets does not know, or only on one line."""

ALLOWED = "pragma: allowlist secret"
"""The comment with which users of detect-secrets mark a line as harmless."""

NOT_A_CREDENTIAL = r"tokeni[sz]|(?:pad|eos|bos|unk|cls|sep|mask|special|start|end|stop)_?tokens?|max_?(?:new_)?tokens"
"""Names of language models' tokens, which are no credentials."""

PLACEHOLDER = re.compile(
    r"(?i)^(?:secret://|env:|https?://|[<{\[$%(]|\*+$|\.+$|x+$|(?:your|my|some|the)[-_ ])|change_?me|placeholder|\s"
)
DIGEST_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
"""Hexadecimal digits of MD5, SHA-1 and the SHA-2 family."""

LONGEST_KEY = 200
SHORTEST_KEY = 20
SHORTEST_PASSWORD = 4


@cache
def _formats() -> tuple[BasePlugin, ...]:
    """Detectors of formats that no ordinary text has."""
    from detect_secrets.plugins.aws import AWSKeyDetector
    from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
    from detect_secrets.plugins.basic_auth import BasicAuthDetector
    from detect_secrets.plugins.discord import DiscordBotTokenDetector
    from detect_secrets.plugins.github_token import GitHubTokenDetector
    from detect_secrets.plugins.jwt import JwtTokenDetector
    from detect_secrets.plugins.mailchimp import MailchimpDetector
    from detect_secrets.plugins.npm import NpmDetector
    from detect_secrets.plugins.sendgrid import SendGridDetector
    from detect_secrets.plugins.slack import SlackDetector
    from detect_secrets.plugins.square_oauth import SquareOAuthDetector
    from detect_secrets.plugins.stripe import StripeDetector
    from detect_secrets.plugins.twilio import TwilioKeyDetector

    return (
        *(AWSKeyDetector(), AzureStorageKeyDetector(), BasicAuthDetector(), DiscordBotTokenDetector(), GitHubTokenDetector()),
        *(JwtTokenDetector(), MailchimpDetector(), NpmDetector(), SendGridDetector(), SlackDetector()),
        *(SquareOAuthDetector(), StripeDetector(), TwilioKeyDetector()),
    )


def known_secrets(text: str) -> Iterator[tuple[str, str]]:
    """Each kind and value of a secret in a text whose format is known."""
    for kind, pattern in FORMATS.items():
        for match in pattern.finditer(text):
            yield kind, match[0]
    for detector in _formats():
        for value in detector.analyze_string(text):
            if not PLACEHOLDER.search(value):
                yield str(detector.secret_type), value


def redacted(text: str) -> str:
    """A text in which every secret of a known format is replaced by its kind."""
    for kind, value in known_secrets(text):
        text = text.replace(value, f"({kind})")
    return text


def masked(value: str) -> str:
    """What may be said of a found value: how it begins, if that is a small part of it, and how long it is."""
    begins = f"{value[:2]}…, " if len(value) >= SHORTEST_KEY else ""
    return f"{begins}{len(value)} characters"


def find_secrets(document: Document) -> Iterator[Finding]:
    """Findings on secrets, one for each cell, kind and value; lines marked with the allowlist pragma are left out."""
    for cell in document.cells:
        seen: set[str] = set()
        for number, line in enumerate(cell.source.splitlines(), start=1):
            if ALLOWED in line:
                continue
            for rule, kind, value in _suspects(EMBEDDED.sub("", line), code=cell.kind == "code"):
                if value not in seen:
                    seen.add(value)
                    yield finding(rule, f"{kind} ({masked(value)}) in the source", cell=cell, line=number)
        yield from _in_outputs(cell, seen)


def _in_outputs(cell: Cell, seen: set[str]) -> Iterator[Finding]:
    for number, output in enumerate(cell.outputs, start=1):
        for _, text in texts_of(output):
            for kind, value in known_secrets(text):
                if value not in seen:
                    seen.add(value)
                    yield finding("secret", f"{kind} ({masked(value)}) in an output", cell=cell, output=number)


def _suspects(line: str, *, code: bool) -> Iterator[tuple[str, str, str]]:
    """Rule, kind and value of all that may be a secret in a line of a source; keywords and randomness count in code only."""
    for kind, value in known_secrets(line):
        yield "secret", kind, value
    if not code:
        return
    from detect_secrets.plugins.keyword import KeywordDetector

    for value in KeywordDetector(keyword_exclude=NOT_A_CREDENTIAL).analyze_string(line):
        if len(value) >= SHORTEST_PASSWORD and not PLACEHOLDER.search(value):
            certain = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
            yield "secret" if certain else "possible-secret", "a value under the name of a secret", value
    for value in _random_texts(line):
        yield "possible-secret", "a random-looking text", value


def _random_texts(line: str) -> Iterator[str]:
    """Quoted texts with the entropy of a key: base64 above 4.5 bits per character, hexadecimal above 3."""
    from detect_secrets.filters.heuristic import is_potential_uuid, is_sequential_string
    from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString

    for detector in (Base64HighEntropyString(), HexHighEntropyString()):
        for value in detector.analyze_string(line):
            if not SHORTEST_KEY <= len(value) <= LONGEST_KEY or is_potential_uuid(value) or is_sequential_string(value):
                continue
            hexadecimal = re.fullmatch(r"[0-9a-fA-F]+", value) is not None
            if hexadecimal and (len(value) in DIGEST_LENGTHS or value.isdigit()):
                continue
            mixed = hexadecimal or all(re.search(kind, value) for kind in (r"\d", r"[a-z]", r"[A-Z]"))
            if mixed and detector.calculate_shannon_entropy(value) > detector.entropy_limit:
                yield value
                return
