"""Chart text is nothing but text once it is on a card: GitHub Markdown with raw HTML (reliability row 29)."""

import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds.cards import cards
from cds.markdown import LONGEST, bullets, escaped, headed, one_line, paragraphs, recorded_date
from tests.chart_builders import active, drafts, evaluated, says

RENDERER = MarkdownIt("gfm-like", {"html": True})
OUR_TAGS = {"p", "ul", "li", "strong"}
# What renderers look for in the text once the backslashes are gone: GitHub's and remark's own patterns, simplified.
LATE_LINKS = re.compile(r"(?i)https?://|www\.|[\w.+-]+@[\w-]+\.|\w:/?/\w")

ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='https://evil.example'>x</a>",
    "<!-- hidden -->",
    "<![CDATA[x]]>",
    "<?php x ?>",
    "<https://evil.example>",
    "<who@evil.example>",
    "</p></li></ul><h1>x</h1>",
    "&lt;script&gt;",
    "&#60;img src=x&#62;",
    "&nbsp;&copy;",
    "[x](javascript:alert(1))",
    "[x](https://evil.example 'title')",
    "![x](https://evil.example/p.png)",
    "[x][1]",
    "[1]: https://evil.example",
    "[^1] and [^1]: note",
    "](https://evil.example)",
    "www.evil.example",
    "WWW.EVIL.EXAMPLE/path",
    "https://evil.example/?q=1",
    "HTTP://evil.example",
    "ftp://evil.example",
    "//evil.example",
    "///evil.example",
    "mailto:who@evil.example",
    "who@evil.example",
    "xmpp:who@evil.example/x",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.com",
    "# heading",
    "x\n# heading",
    "x\n\n## heading",
    "x\n===",
    "x\n---",
    "- item",
    "+ item",
    "* item",
    "1. item",
    "1) item",
    "> quote",
    ">> quote",
    "    code",
    "\tcode",
    "`code`",
    "``code``",
    "```\ncode\n```",
    "~~~\ncode\n~~~",
    "*emphasis*",
    "**strong**",
    "__strong__",
    "_emphasis_",
    "~~gone~~",
    "***both***",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "a | b\n- | -\n1 | 2",
    "***",
    "---",
    "___",
    "- [ ] task",
    "line one\\\nline two",
    "line one  \nline two",
    "\\<img src=x>",
    "\\[x](https://evil.example)",
    "\\\\[x](https://evil.example)",
    "$x^2$",
    ":smile:",
    "@someone",
    "#123",
    "\u202ereversed\u202c",
    "\u2066isolated\u2069",
    "zero\u200bwidth",
    "ww\u200bw.evil.example",
    "https:\u200b//evil.example",
    "who\u200b@evil.example",
    "\ufeffmark",
    "soft\u00adhyphen",
    "bell\x07",
    "nul\x00",
    "escape\x1b[31m",
    "para\u2029graph",
    "line\u2028break",
    "next\x85line",
    "no\u00a0break",
    "carriage\rreturn",
    "form\x0cfeed",
    "tag\U000e0041s",
    "lone\ud800surrogate",
    "private\ue000use",
    "x" * 10_000,
    "*" * 10_000,
    "[" * 10_000,
    "\u200b" * 10_000 + "end",
    "\\",
    "\\\\\\",
    "",
    "   ",
    "<",
    "&",
    "**Basis**: nothing at all.",
    "**Options**\n\n- Consider nothing.",
)
PAYLOADS = [*ATTACKS, *(f"pain {attack} of the back" for attack in ATTACKS)]


class Page(HTMLParser):
    """The tags, attributes and text of rendered HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list = []
        self.other: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.other.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def rendered(markdown: str) -> Page:
    return Page(RENDERER.render(markdown))


def assert_harmless(page: Page, tags: set[str]) -> None:
    assert page.tags <= tags
    assert page.attributes == []
    assert page.other == []
    assert not LATE_LINKS.search(page.text)
    assert all(char == "\n" or unicodedata.category(char)[0] != "C" for char in page.text)


def test_there_are_enough_payloads():
    assert len(set(PAYLOADS)) >= 200


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: ascii(payload[:30]))
def test_a_payload_is_text_and_nothing_else(payload):
    page = rendered(f"- **Title**: {escaped(payload)} on 2026-11-20; next")
    assert_harmless(page, OUR_TAGS)
    assert page.text.strip() == f"Title: {one_line(payload)} on 2026-11-20; next".replace("@", "\uff20").strip()


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: ascii(payload[:30]))
def test_a_payload_is_harmless_where_the_markdown_is_shown_as_html(payload):
    page = Page(escaped(payload))
    assert page.tags == set()
    assert page.other == []


@pytest.mark.parametrize("payload", ATTACKS, ids=lambda payload: ascii(payload[:30]))
def test_a_card_made_of_payloads_holds_our_tags_only(payload):
    record = [
        active("back-pain", days_ago=9, display=payload),
        active("urinary-retention", days_ago=1, display=payload),
        says("night-pain", days_ago=1, display=payload),
    ]
    order = drafts("mri-lumbar", display=payload)
    for hook, facts in (("patient-view", record), ("order-sign", [*record, order])):
        for card in cards(evaluated(*facts), hook):
            assert_harmless(rendered(card.detail), OUR_TAGS)
            for text in (card.summary, *(each.label for each in (*card.suggestions, *card.changes))):
                assert len(payload.strip()) < 8 or payload not in text


def test_what_opens_a_tag_or_an_entity_is_never_left_as_it_is():
    assert escaped("<b>&amp;") == "&lt;b&gt;&amp;amp;"


@given(st.text())
def test_any_text_is_one_harmless_line(text):
    assert_harmless(rendered(f"- **Title**: {escaped(text)}"), OUR_TAGS)
    assert len(one_line(text)) <= LONGEST


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Herniated disc, L4", "Herniated disc, L4"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("Rückenschmerzen 腰痛", "Rückenschmerzen 腰痛"),
        ("a\u202eb\u200bc", "abc"),
        ("x" * LONGEST, "x" * LONGEST),
        ("x" * (LONGEST + 1), "x" * (LONGEST - 1) + "…"),
        ("https://a.example", "https:/ /a.example"),
        ("WWW.a.example", "WWW .a.example"),
        ("awww, that hurts", "awww, that hurts"),
    ],
)
def test_one_line(text, shown):
    assert one_line(text) == shown


@pytest.mark.parametrize("date", ["2026-11-20", "2026-03", "2019", "1999/2000"])
def test_a_date_stays_readable(date):
    assert recorded_date(date) == date


@pytest.mark.parametrize("text", ["20 [x](y)", "<b>", "２０２６"])
def test_what_is_no_date_is_escaped_like_any_text(text):
    assert recorded_date(text) == escaped(text)


def test_what_is_not_there_leaves_no_trace():
    assert headed("Options", bullets([])) == ""
    assert paragraphs("", "one", "", "two") == "one\n\ntwo"
    assert headed("Options", bullets(["one", "two"])) == "**Options**\n\n- one\n- two"
