"""The few pieces of HTML that the evidence is made of: pages, tables, intervals. Called by each page of the evidence.

A page holds its style, asks for nothing, and says so in its content policy. Text from outside is escaped, then cleaned once more
by nh3, so that nothing in a name or a comment becomes markup.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import nh3

from workbench.records import Estimate

__all__ = [
    "Html",
    "absent",
    "chip",
    "code",
    "digest",
    "facts",
    "interval",
    "joined",
    "link",
    "listed",
    "moment",
    "note",
    "page",
    "paragraph",
    "part",
    "section",
    "table",
    "text",
]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"

STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#e3e7ec;--wash:#f6f8fa;--accent:#1f5f8b;--good:#1a7f37;--bad:#b42318;--doubt:#8a5a00}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header{background:#14324a;color:#fff;padding:26px 0 22px}
header p{margin:4px 0 0;color:#c9d8e4;font-size:14px}
header h1{margin:0;font-size:27px;font-weight:650;letter-spacing:-.01em}
.wrap{max-width:1060px;margin:0 auto;padding:0 28px}
nav{border-bottom:1px solid var(--line);background:var(--wash);font-size:14px}
nav .wrap{display:flex;flex-wrap:wrap;gap:4px 20px;padding-top:10px;padding-bottom:10px}
nav a{color:var(--accent);text-decoration:none}
nav a[aria-current]{color:var(--ink);font-weight:650}
a{color:var(--accent)}
main{padding-top:26px;padding-bottom:56px}
h2{font-size:20px;margin:34px 0 10px;padding-bottom:6px;border-bottom:2px solid var(--line)}
h3{font-size:16px;margin:22px 0 6px}
p{margin:8px 0 12px;max-width:78ch}
table{border-collapse:collapse;width:100%;margin:10px 0 18px;font-size:14.5px}
th{text-align:left;font-weight:600;color:var(--soft);font-size:13px;border-bottom:2px solid var(--line);padding:7px 12px 7px 0}
td{border-bottom:1px solid var(--line);padding:8px 12px 8px 0;vertical-align:top;overflow-wrap:break-word}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
td.number,th.number,td.whole{white-space:nowrap}
dl{display:grid;grid-template-columns:minmax(150px,220px) 1fr;gap:0;margin:10px 0 18px;font-size:15px}
dt{color:var(--soft);padding:7px 0;border-bottom:1px solid var(--line)}
dd{margin:0;padding:7px 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
code{font:13px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
ul{padding-left:20px;margin:8px 0 14px}li{margin:4px 0;max-width:78ch}
.chip{display:inline-block;border-radius:12px;padding:1px 11px;font-size:13px;font-weight:600;border:1px solid currentColor}
.chip,.time{white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}.doubt{color:var(--doubt)}.plain{color:var(--soft)}
.absent{border-left:4px solid var(--doubt);background:#fff8e8;padding:9px 14px;margin:10px 0 16px;max-width:78ch}
.note{border-left:4px solid var(--accent);background:#eef5fa;padding:9px 14px;margin:10px 0 16px;max-width:78ch}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(238px,1fr));gap:14px;margin:14px 0 20px}
.card{border:1px solid var(--line);border-radius:8px;padding:13px 15px;text-decoration:none;color:var(--ink);display:block}
.card b{display:block;color:var(--accent);margin-bottom:3px}.card span{font-size:14px;color:var(--soft)}
small{display:block;color:var(--soft);font-size:12px}
.line{padding:4px 0}.line i{font-style:normal;color:var(--soft)}
svg{display:block}
footer{border-top:1px solid var(--line);color:var(--soft);font-size:13px;padding:16px 0 40px}
@media print{nav{display:none}header{background:#fff;color:#000}header p{color:#333}h2{break-after:avoid}tr{break-inside:avoid}}
@media(max-width:640px){dl{grid-template-columns:1fr}dt{border:0;padding-bottom:0}.wrap{padding:0 16px}}
"""


class Html(str):
    """Text that is markup already, made by this module; any other text is escaped where it is put into a page."""

    __slots__ = ()


def text(value: object) -> Html:
    """Any text as harmless HTML: every character is shown, none is markup."""
    return value if isinstance(value, Html) else Html(nh3.clean(html.escape(str(value)), tags=set()))


def moment(at: str) -> Html:
    """A time of a record (ISO 8601, UTC) as people read it, to the second."""
    return Html(f'<span class="time">{text(at[:19].replace("T", " "))} UTC</span>')


def paragraph(content: object) -> Html:
    """One paragraph."""
    return Html(f"<p>{text(content)}</p>")


def absent(content: object) -> Html:
    """Says plainly that something is not there."""
    return Html(f'<p class="absent">{text(content)}</p>')


def note(content: object) -> Html:
    """What a reader must know to read what follows rightly."""
    return Html(f'<p class="note">{text(content)}</p>')


def code(content: object) -> Html:
    """A digest, an id or a name from a program."""
    return Html(f"<code>{text(content)}</code>")


def digest(content: str) -> Html:
    """The beginning of a digest, enough to tell it from others at a glance; in full it stands in the files."""
    return Html(f'<code title="{html.escape(content)}">{text(content[:12])}</code>')


def link(target: str, content: object) -> Html:
    """A link within the folder."""
    return Html(f'<a href="{html.escape(target)}">{text(content)}</a>')


def chip(word: str) -> Html:
    """A verdict as a word in its colour."""
    kinds = {
        "good": ("PASS", "approve", "chosen", "production", "accepted", "proved", "passes"),
        "bad": ("FAIL", "reject", "archived", "missed"),
        "doubt": ("INCONCLUSIVE", "waiting", "candidate", "staging", "not proved"),
    }
    kind = next((kind for kind, words in kinds.items() if word in words), "plain")
    return Html(f'<span class="chip {kind}">{text(word)}</span>')


def section(title: str, *content: Html) -> Html:
    """A heading and what stands below it."""
    return joined(Html(f"<h2>{text(title)}</h2>"), *content)


def part(title: object, *content: Html) -> Html:
    """A smaller heading and what stands below it."""
    return joined(Html(f"<h3>{text(title)}</h3>"), *content)


def joined(*pieces: Html) -> Html:
    """Pieces one below the other."""
    return Html("\n".join(pieces))


def listed(items: Iterable[object]) -> Html:
    """A bulleted list."""
    return Html("<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>")


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names with their values."""
    return Html("<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs) + "</dl>")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = (), whole: Sequence[str] = ()
) -> Html:
    """A table; the columns named in `numbers` stand to the right, those in `whole` are never broken into lines."""
    classes = {**dict.fromkeys(whole, ' class="whole"'), **dict.fromkeys(numbers, ' class="number"')}
    kinds = [classes.get(column, "") for column in columns]
    head = "".join(f"<th{kind}>{text(column)}</th>" for column, kind in zip(columns, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{text(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>\n"
        for row in rows
    )
    return Html(f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>")


def interval(estimate: Estimate, low: float, high: float, *, mark: float | None = None) -> Html:
    """An estimate with its bounds as a small picture on the scale from `low` to `high`; `mark` is a line to compare with."""
    width, span = 180, (high - low) or 1.0

    def place(value: float) -> float:
        return round(6 + (width - 12) * min(max((value - low) / span, 0.0), 1.0), 1)

    parts = [f'<line x1="6" x2="{width - 6}" y1="11" y2="11" stroke="#e3e7ec" stroke-width="2"/>']
    if mark is not None:
        parts.append(f'<line x1="{place(mark)}" x2="{place(mark)}" y1="1" y2="21" stroke="#5b6675" stroke-dasharray="2 2"/>')
    if estimate.low is not None and estimate.high is not None:
        ends = f'x1="{place(estimate.low)}" x2="{place(estimate.high)}"'
        parts.append(f'<line {ends} y1="11" y2="11" stroke="#1f5f8b" stroke-width="6" stroke-linecap="round" opacity=".35"/>')
    if estimate.value is not None:
        parts.append(f'<circle cx="{place(estimate.value)}" cy="11" r="5" fill="#1f5f8b"/>')
    return Html(f'<svg width="{width}" height="22" role="img" aria-hidden="true">{"".join(parts)}</svg>')


def page(title: str, subtitle: str, body: Iterable[Html], *, here: str, pages: Sequence[tuple[str, str]]) -> bytes:
    """A whole page with the way to the others; `pages` are (file, title)."""
    ways = "".join(f'<a href="{file}"{" aria-current=page" if file == here else ""}>{text(name)}</a>' for file, name in pages)
    content = "\n".join(body)
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">\n'
        f'<title>{text(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>\n'
        f'<header><div class="wrap"><h1>{text(title)}</h1><p>{text(subtitle)}</p></div></header>\n'
        f'<nav><div class="wrap">{ways}</div></nav>\n<main class="wrap">\n{content}\n</main>\n'
        '<footer><div class="wrap">Written by the workbench from its records. It shows what was done and measured; '
        "it is not a certificate, and no legal advice.</div></footer></body></html>\n"
    ).encode()
