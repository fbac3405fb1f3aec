"""Markdown is read back by markdown-it (CommonMark with tables) and must give the blocks' own text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from internvl_loaders.document import Block, Document, Page
from internvl_loaders.render.layout import printed_marker
from internvl_loaders.render.markdown import markdown, page
from tests.kit import documents
from tests.kit.documents import flat, table

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
Seen = tuple[str, str]


def read(source: str) -> list[Seen]:
    """What a CommonMark reader sees: (kind, text without white space), a list item's kind by its depth."""
    tokens = READER.parse(source)
    seen: list[Seen] = []
    lists: list[list[int | str]] = []
    pending = ""
    for token in tokens:
        match token.type:
            case "heading_open":
                pending = token.tag
            case "paragraph_open":
                pending = pending or ("more" if lists else "p")
            case "td_open" | "th_open":
                pending = token.tag
            case "bullet_list_open":
                lists.append(["-", 0])
            case "ordered_list_open":
                lists.append([token.markup, int(token.attrs.get("start", 1))])
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "list_item_open":
                kind, number = lists[-1]
                lists[-1][1] = int(number) + 1
                seen.append((f"li{len(lists)}", "" if kind == "-" else f"{number}{kind}"))
                pending = "li"
            case "list_item_close":
                pending = ""
            case "inline":
                text = flat("".join(literal(token)))
                if pending == "li":
                    seen[-1] = (seen[-1][0], seen[-1][1] + text)
                else:
                    seen.append((pending, text))
                pending = ""
            case "fence":
                seen.append(("code", flat(token.content)))
            case "html_block":
                seen.append(("html", flat(token.content)))
            case name:
                assert name.endswith(("_close", "_open")), name
                assert name.startswith(
                    ("table", "thead", "tbody", "tr", "td", "th", "heading", "paragraph")
                ), name
    return seen


def literal(token: Token) -> Iterator[str]:
    for child in token.children or []:
        assert child.type in ("text", "softbreak", "hardbreak"), f"{child.type} in {token.content!r}"
        yield child.content


def expected(blocks: list[Block]) -> list[Seen]:
    seen: list[Seen] = []
    levels: list[int] = []
    for block in blocks:
        text = flat(block.text)
        if block.table is not None:
            if block.table.has_spans:
                seen.append(("html", flat(block.table.to_html())))
            else:
                head = [("th", flat(name)) for name in headers(block)]
                seen += head + [
                    ("td", flat(cell))
                    for row in block.table.grid()[block.table.header_rows :]
                    for cell in row
                ]
        elif block.type == "list_item":
            if text or printed_marker(block):
                while levels and levels[-1] >= (block.level or 0):
                    levels.pop()
                levels.append(block.level or 0)
                seen.append((f"li{len(levels)}", flat(printed_marker(block)) + text))
            continue
        elif text:
            kind = {"heading": f"h{min(max(block.level or 1, 1), 6)}", "code": "code"}.get(block.type, "p")
            seen.append((kind, text))
        else:
            continue
        levels = []
    return seen


def headers(block: Block) -> list[str]:
    from internvl_loaders.render.table import headers

    assert block.table is not None
    return headers(block.table)


readable = (
    documents.prose | documents.headings | documents.list_items | documents.codes | documents.table_blocks()
)


@given(st.lists(readable, max_size=4))
def test_text_is_never_markup(blocks: list[Block]) -> None:
    assert read(markdown(blocks)) == expected(blocks)


@given(st.lists(documents.list_items, max_size=8))
def test_lists_keep_depth_and_printed_numbers(blocks: list[Block]) -> None:
    assert read(markdown(blocks)) == expected(blocks)


@given(documents.tables(spans=False))
def test_tables_keep_every_cell(table_: object) -> None:
    block = Block(type="table", table=table_)
    assert read(markdown([block])) == expected([block])


@given(st.lists(documents.formulas | documents.prose, max_size=3))
def test_formulas_stay_inert_where_maths_are_not_known(blocks: list[Block]) -> None:
    kinds = {token.type for token in READER.parse(markdown(blocks))}
    inside = {c.type for t in READER.parse(markdown(blocks)) for c in t.children or []}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close"}
    assert not inside & {"html_inline", "link_open", "image"}


@given(documents.formulas)
def test_a_formula_ends_where_it_ends(block: Block) -> None:
    source = markdown([block, Block(type="paragraph", text="after")])
    first = source.split("\n\n")[0]
    if flat(block.text):
        assert first.startswith("$$")
        assert first.endswith("$$")
        assert not re.search(r"(?<!\\)(\\\\)*[$%]", first[2:-2])


@given(st.lists(readable | documents.formulas, max_size=4))
def test_a_reader_of_lines_sees_no_markup_either(blocks: list[Block]) -> None:
    """LlamaIndex's MarkdownElementNodeParser and LangChain's splitters go by how lines begin."""
    plain = [block for block in blocks if block.type not in ("heading", "code") and block.table is None]
    for line in markdown(plain).split("\n"):
        assert not line.startswith(("#", "|", "```", "~~~")), line
        assert "<table>" not in line


@pytest.mark.parametrize(
    "text",
    [
        "3.5 and e-mail_addr, snake_case, C#, F#; x = -5, a - b, 3 * 4, 2 ** 3",
        "AT&T & Co., R&D, a < b, p <0.05, 5 > 3; [1] see (2)",
        "Total* 100,00 € +5 % ~10, $5 and $10, {x} a|b C:\\Users\\me 50/50 http://a.b/c_d?e=f",
        "Name: ________ Date: ____",
        "“Quoted” … — 100 000,00! 1.5) §3.",
    ],
)
def test_nothing_is_escaped_without_need(text: str) -> None:
    assert markdown([Block(type="paragraph", text=text)]) == text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("*a* and *b*", "\\*a\\* and \\*b\\*"),
        ("__init__ x", "\\_\\_init\\_\\_ x"),
        ("1. item", "1\\. item"),
        ("- item", "\\- item"),
        ("#tag", "\\#tag"),
        ("> said", "\\> said"),
        ("---", "\\---"),
        ("<b> &amp; &#60;", "&lt;b> &amp;amp; &amp;#60;"),
        ("[a](b) ![c](d) [e]: f", "[a\\](b) ![c\\](d) [e\\]: f"),
        ("a\\*b C:\\", "a\\\\*b C:\\\\"),
        ("a | b\n--|--", "a | b  \n\\--|--"),
        ("| a |", "\\| a |"),
        ("**a\n***", "**a  \n\\*\\*\\*"),
        ("one\ntwo\n\n  three ", "one  \ntwo  \nthree"),
        ("<1@b.c> <=5", "&lt;1@b.c> <=5"),
        ("$a$ costs", "\\$a\\$ costs"),
    ],
)
def test_markup_is_escaped(text: str, source: str) -> None:
    assert markdown([Block(type="paragraph", text=text)]) == source


def test_blocks() -> None:
    blocks = [
        Block(type="header", text="Acme"),
        Block(type="heading", text="1 Scope\nand aim #", level=2),
        Block(type="list_item", text="one\nmore", marker="1."),
        Block(type="list_item", text="under", marker="•", level=1),
        Block(type="list_item", text="two", marker="2."),
        Block(type="list_item", text="four", marker="4."),
        Block(type="list_item", text="letter", marker="a)"),
        Block(type="caption", text="Table 1: prices"),
        Block(type="table", table=table(["A|B", "A|B"], ["007", ""])),
        Block(type="table", table=table([("Both", 1, 2), None], ["<1>", "2\n3"])),
        Block(type="figure"),
        Block(type="figure", text="in the figure"),
        Block(type="code", text="  x = ```y```\n\nz"),
        Block(type="formula", text="a <b>\n= 50% [c](d)"),
        Block(type="footer", text="Page 1"),
    ]
    body = """## 1 Scope and aim \\#

1. one  
   more
   - under
2. two

- 4\\. four
- a) letter

Table 1: prices

|A&#124;B|A&#124;B (2)|
|---|---|
| 007 |  |

<table>
<thead>
<tr><th colspan="2">Both</th></tr>
</thead>
<tbody>
<tr><td>&lt;1&gt;</td><td>2<br>3</td></tr>
</tbody>
</table>

in the figure

````
  x = ```y```

z
````

$$a < b> = 50\\% [c] (d)$$"""  # noqa: W291
    assert markdown(blocks) == f"Acme\n\n{body}\n\nPage 1"
    assert markdown(blocks, headers_footers=False) == body


def test_numbers_that_markdown_cannot_print_are_text() -> None:
    markers = ["1.", "2.", "2.", "007.", "1.1", "3)", "5)", "1234567890."]
    blocks = [Block(type="list_item", text="x", marker=marker) for marker in markers]
    assert [text for _, text in read(markdown(blocks))] == [f"{marker}x" for marker in markers]


@pytest.mark.parametrize(
    ("text", "source"), [("[ ] open", "- \\[ ] open"), ("[x]", "- \\[x]"), ("[1] a", "- [1] a")]
)
def test_a_box_is_no_task(text: str, source: str) -> None:
    assert markdown([Block(type="list_item", text=text)]) == source


def test_a_failed_page_is_never_silent() -> None:
    good = Page(source="a", number=1, status="ok", blocks=(Block(type="paragraph", text="fine"),))
    empty = Page(source="a", number=2, status="empty", reason="blank")
    failed = Page(source="a", number=3, status="failed", reason="timed <out>\nafter 5 s")
    warning = "> [!WARNING]\n> Page 3 could not be read: timed &lt;out> after 5 s"
    document = Document.of([good, empty, failed])
    assert document.to_markdown() == f"fine\n\n{warning}"
    assert document.to_markdown(page_breaks=True) == f"fine\n\f\n\n\f\n{warning}"
    assert failed.to_markdown() == ""
    assert page(failed) == warning
    whole = Page(source="a", number=0, status="failed")
    assert page(whole) == "> [!WARNING]\n> The document could not be read: no reason given"


def test_splitters_of_langchain_find_sections_and_keep_tables_whole() -> None:
    splitters = pytest.importorskip("langchain_text_splitters")
    blocks = [
        Block(type="heading", text="One", level=1),
        Block(type="paragraph", text="# no heading\n```no fence"),
        Block(type="heading", text="Two", level=2),
        Block(type="table", table=table(["A", "B"], ["1", "2"])),
    ]
    chunks = splitters.MarkdownHeaderTextSplitter([("#", "h1"), ("##", "h2")]).split_text(markdown(blocks))
    assert [chunk.metadata for chunk in chunks] == [{"h1": "One"}, {"h1": "One", "h2": "Two"}]
    assert chunks[1].page_content == "|A|B|\n|---|---|\n| 1 | 2 |"


def test_llama_index_finds_the_tables() -> None:
    pytest.importorskip("llama_index.core")
    pytest.importorskip("pandas")
    from llama_index.core.node_parser import MarkdownElementNodeParser

    blocks = [
        Block(type="paragraph", text="before <table> | #\n| not a table |"),
        Block(type="table", table=table(["Item", "Item", ""], ['5" | pipe', "N/A", ""], ["007", "-", "x"])),
        Block(type="paragraph", text="between"),
        Block(type="table", table=table([("Both", 1, 2), None], ["1", "2"])),
        Block(type="table", table=table(["a", "b"], ["c", "d"], header_rows=0)),
        Block(type="paragraph", text="after"),
    ]
    parser = MarkdownElementNodeParser(llm=None)
    elements = parser.extract_html_tables(
        parser.extract_elements(markdown(blocks), table_filters=[parser.filter_table])
    )
    assert [element.type for element in elements] == ["text", "table", "text", "table_text", "table", "text"]
    frame = elements[1].table
    assert list(frame.columns) == ["Item", "Item (2)", "   "]
    assert [str(v).strip() for v in frame.iloc[0]] == ['5" &#124; pipe', "N/A", ""]
    assert elements[3].element == blocks[3].table.to_html()
    assert elements[4].table.shape == (2, 2)


def test_github_reads_it_the_same() -> None:
    """But for bare addresses, which it makes links before it looks at escapes."""
    cmark = pytest.importorskip("cmarkgfm")
    html5lib = pytest.importorskip("html5lib")

    @given(st.lists(readable, max_size=4))
    @example([Block(type="paragraph", text="**a~**a")])
    @example([Block(type="paragraph", text="a__~a__ a**~~~.b**")])
    def same(blocks: list[Block]) -> None:
        assume(not re.search("://|www|@", str(blocks)))
        rendered = cmark.github_flavored_markdown_to_html(markdown(blocks))
        root = html5lib.parse(rendered, namespaceHTMLElements=False)
        got = {
            flat("".join(e.itertext())) for e in root.iter() if e.tag in ("p", "h1", "h2", "td", "th", "code")
        }
        tags = {element.tag for element in root.iter()}
        assert not tags & {"em", "strong", "del", "img", "input", "blockquote", "hr", "script", "b"}
        wanted = {t for kind, t in expected(blocks) if kind in ("p", "h1", "h2", "td", "th", "code")}
        assert wanted <= got

    same()
