"""HTML as a browser's parser (html5lib) reads it: our elements, our attributes, the document's text."""

from __future__ import annotations

import base64
import re
from xml.etree.ElementTree import Element

import html5lib
from hypothesis import given
from hypothesis import strategies as st

from internvl_loaders.document import Block, Document, Image, Page
from internvl_loaders.render.html import html
from internvl_loaders.render.layout import content, printed_marker
from tests.kit import documents
from tests.kit.documents import flat, table

ATTRIBUTES = {
    "img": {"src", "width", "height", "alt"},
    "li": {"value", "class"},
    "p": {"class"},
    "section": {"id", "class"},
    "td": {"rowspan", "colspan"},
    "th": {"rowspan", "colspan"},
    "meta": {"charset", "http-equiv", "content", "name"},
}
ELEMENTS = {
    *("html", "head", "body", "title", "style", *ATTRIBUTES),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "thead", "tbody", "tr", "br"),
    *("figure", "figcaption", "header", "footer", "pre", "code"),
}


def parsed(source: str) -> Element:
    return html5lib.parse(source, namespaceHTMLElements=False)


def check_elements(root: Element) -> None:
    for element in root.iter():
        assert element.tag in ELEMENTS, element.tag
        assert set(element.attrib) <= ATTRIBUTES.get(str(element.tag), set()), element.attrib
        if element.tag == "img":
            assert element.attrib["src"].startswith("data:image/")


@given(st.lists(documents.blocks, max_size=5))
def test_text_is_never_markup(blocks: list[Block]) -> None:
    root = parsed(f"<body>{html(blocks)}</body>")
    check_elements(root)
    shown = sorted(flat(t) for block in content(blocks, True) for t in texts(block))
    got = sorted("".join(flat(t) for e in leaf.iter() for t in own_text(leaf, e)) for leaf in leaves(root))
    assert [text for text in got if text] == [text for text in shown if text]


def texts(block: Block) -> list[str]:
    if block.table is not None:
        return [cell.text for cell in block.table.cells]
    number = re.fullmatch(r"(0|[1-9][0-9]{0,8})\.", printed_marker(block))
    return [("" if number else printed_marker(block)) + block.text]


def leaves(root: Element) -> list[Element]:
    names = {"p", "li", "td", "th", "pre", "figcaption", *(f"h{n}" for n in range(1, 7))}
    return [element for element in root.iter() if element.tag in names]


def own_text(leaf: Element, element: Element) -> list[str]:
    """The text of a leaf, without that of lists nested in it."""
    if element is leaf:
        return [leaf.text or "", *(child.tail or "" for child in leaf)]
    return [element.text or ""] if element.tag == "code" else []


@given(documents.documents)
def test_a_document_loads_and_runs_nothing(document: Document) -> None:
    source = document.to_html()
    root = parsed(source)
    check_elements(root)
    (policy,) = [
        m.attrib["content"] for m in root.iter("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    assert [s.attrib["id"] for s in root.iter("section")] == [f"page-{p.number}" for p in document.pages]
    assert "<script" not in source.lower()


@given(documents.documents)
def test_no_page_is_silently_absent(document: Document) -> None:
    sections = list(parsed(document.to_html()).iter("section"))
    for page, section in zip(document.pages, sections, strict=True):
        notices = [p for p in section.iter("p") if "notice" in (p.get("class") or "")]
        assert bool(notices) == (page.status in ("failed", "empty"))
        for notice in notices:
            assert flat(page.reason) in flat("".join(notice.itertext()))


def test_blocks() -> None:
    picture = Image(data=b"png", width=4, height=3)
    blocks = [
        Block(type="header", text="Acme"),
        Block(type="heading", text="Scope & aim", level=2),
        Block(type="paragraph", text="<b>one</b>\ntwo"),
        Block(type="list_item", text="one", marker="1."),
        Block(type="list_item", text="under", marker="•", level=1),
        Block(type="list_item", text="four", marker="4."),
        Block(type="list_item", text="letter", marker="a)"),
        Block(type="caption", text="Table 1"),
        Block(type="table", table=table(["A"], ["1"])),
        Block(type="figure", image=picture, text="inside"),
        Block(type="caption", text='Fig. "1"'),
        Block(type="caption", text="lonely"),
        Block(type="code", text="\n  x < y\n"),
        Block(type="formula", text="a < b"),
        Block(type="footnote", text="1 note"),
        Block(type="footer", text="Page 1"),
    ]
    data = base64.b64encode(b"png").decode()
    body = f"""<h2>Scope &amp; aim</h2>
<p>&lt;b&gt;one&lt;/b&gt;<br>two</p>
<ol>
<li value="1">one
<ul>
<li>under</li>
</ul>
</li>
<li value="4">four</li>
</ol>
<ul>
<li class="marked">a) letter</li>
</ul>
<figure>
<figcaption>Table 1</figcaption>
<table>
<thead>
<tr><th>A</th></tr>
</thead>
<tbody>
<tr><td>1</td></tr>
</tbody>
</table>
</figure>
<figure>
<img src="data:image/png;base64,{data}" width="4" height="3" alt="Fig. &quot;1&quot;">
<p>inside</p>
<figcaption>Fig. "1"</figcaption>
</figure>
<p class="caption">lonely</p>
<pre><code>
  x &lt; y</code></pre>
<p class="formula">a &lt; b</p>
<p class="footnote">1 note</p>"""
    assert html(blocks) == f"<header><p>Acme</p></header>\n{body}\n<footer><p>Page 1</p></footer>"
    assert html(blocks, headers_footers=False) == body


def test_a_section_a_page_with_number_and_label() -> None:
    pages = [
        Page(source="/secret/a <b>.pdf", number=1, label="iv", status="ok"),
        Page(source="/secret/a <b>.pdf", number=2, label="2", status="empty", reason="blank"),
        Page(source="/secret/a <b>.pdf", number=3, status="failed", reason="<i>"),
    ]
    source = Document.of(pages).to_html()
    assert '<section id="page-1" class="page">\n<p class="folio">Page 1 (iv)</p>\n</section>' in source
    assert '<p class="folio">Page 2</p>\n<p class="notice">This page is empty: blank</p>' in source
    assert '<p class="notice failed">Page 3 could not be read: &lt;i&gt;</p>' in source
    assert "<title>a &lt;b&gt;.pdf</title>" in source
    assert "secret" not in source
