"""Links among text that looks like markup."""

from __future__ import annotations

import re

import cmarkgfm
import pytest

from internvl_loaders.document import Block, Link, Page

URL = "https://x.org/?a=1&copy=2"


def page(text: str, start: int, end: int, kind: str = "paragraph") -> Page:
    link = Link(text=text[start:end], url=URL, start=start, end=end)
    return Page(source="a", number=1, status="ok", blocks=(Block(type=kind, text=text, links=(link,)),))


@pytest.mark.parametrize(
    "text",
    [
        "a ]( b",
        "a [b] c",
        "a ] [ b",
        r"a \] b",
        "*a* b *c",
        "a `b` c",
        "x <img src=y> z",
        "a\nb - c",
        "1 | 2 | 3",
        "# a _b_ c",
    ],
)
@pytest.mark.parametrize("kind", ["paragraph", "heading", "list_item", "footnote"])
def test_the_words_of_a_link_are_read_back_as_they_are(text: str, kind: str) -> None:
    before, after = "So *is ", " end* it"
    found = page(before + text + after, len(before), len(before) + len(text), kind)
    html = cmarkgfm.github_flavored_markdown_to_html(found.markdown)
    (inner,) = re.findall(r'<a href="https://x.org/\?a=1&amp;copy=2">(.*?)</a>', html, re.DOTALL)
    shown = re.sub(r"<br ?/?>", "", inner).replace("&lt;", "<").replace("&gt;", ">")
    assert " ".join(shown.split()) == " ".join(text.split())
    assert f'<a href="{URL.replace("&", "&amp;")}" rel="noopener noreferrer">' in found.html


def test_offsets_of_a_stranger_do_no_harm() -> None:
    links = tuple(Link(text="x", url=URL, start=a, end=b) for a, b in ((0, 3), (2, 5), (4, 4), (5, 900)))
    block = Block(type="paragraph", text="abcdef", links=links)
    assert Page(source="a", number=1, status="ok", blocks=(block,)).markdown == (
        "[abc](https://x.org/?a=1&copy=2)def"
    )


def test_text_that_is_its_own_address_stays_text() -> None:
    found = page(f"See {URL} now", 4, 4 + len(URL))
    assert "](" not in found.markdown
