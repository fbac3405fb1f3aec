"""HTML in which every text of the document is escaped and nothing can load or run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from itertools import groupby

from internvl_loaders.render import table
from internvl_loaders.render.escape import clean, one_line
from internvl_loaders.render.layout import Item, Single, content, heading_level, layout, printed_marker
from internvl_loaders.render.links import in_html
from internvl_loaders.render.shapes import Block, Document, Page
from internvl_loaders.render.spans import bare, marked, tagged
from internvl_loaders.values import Image

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 22%, transparent); }
body { max-width: 46rem; margin: 0 auto; padding: 2rem 1.25rem; font: 1rem/1.55 system-ui, sans-serif; }
section { padding: 1rem 0 2rem; border-bottom: 1px solid var(--line); }
h1, h2, h3, h4, h5, h6 { line-height: 1.25; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top; }
thead th { background: color-mix(in srgb, currentColor 7%, transparent); }
figure { margin: 1rem 0; overflow-x: auto; }
img { max-width: 100%; height: auto; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); }
header, footer, figcaption, .folio, .caption, .footnote { font-size: .85rem; opacity: .75; }
.formula { font-family: ui-monospace, monospace; text-align: center; }
.marked { list-style: none; }
.notice { padding: .5rem .75rem; border-left: .25rem solid #c77700; }
.failed { border-color: #c0262d; }
""".strip()


def document(document: Document, *, headers_footers: bool = True) -> str:
    """See `Document.to_html`."""
    sections = [section(page, headers_footers=headers_footers) for page in document.pages]
    return "\n".join([head(document.source), *sections, FOOT])


def head(source: str) -> str:
    """Everything before the first section; `source` names the document in the title."""
    name = one_line(source.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "Document"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            "<html>",
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(name)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            "</head>",
            "<body>",
        ]
    )


FOOT = "</body>\n</html>\n"


def section(page: Page, *, headers_footers: bool = True) -> str:
    """One page with its number, and with its status where that is `failed` or `empty`."""
    parts = [f'<section id="page-{page.number}" class="page">']
    if page.number:
        label = one_line(page.label)
        named = f" ({label})" if label not in ("", str(page.number)) else ""
        parts.append(f'<p class="folio">Page {page.number}{escape(named)}</p>')
    if page.notice:
        parts.append(f'<p class="notice failed">{_text(one_line(page.notice))}</p>')
    elif page.status == "empty":
        reason = f": {_text(page.reason)}" if page.reason else ""
        parts.append(f'<p class="notice">This page is empty{reason}</p>')
    parts += filter(None, [html(page.blocks, headers_footers=headers_footers), "</section>"])
    return "\n".join(parts)


def html(blocks: Sequence[Block], *, headers_footers: bool = True) -> str:
    """A fragment: one element a block, list items gathered in lists, captions in their figures."""
    return tagged(
        "\n".join(
            _list(entry) if isinstance(entry, tuple) else _block(entry)
            for entry in layout(content(blocks, headers_footers))
        )
    )


def _block(entry: Single) -> str:
    block = entry.block
    text = in_html(_text(marked(block)), block)
    match block.type:
        case "table" | "figure":
            return _figure(entry)
        case "heading":
            level = heading_level(block)
            return f"<h{level}>{text}</h{level}>"
        case "code":
            return f"<pre><code>{escape(clean(bare(block.text)), quote=False)}</code></pre>"
        case "header" | "footer":
            return f"<{block.type}><p>{text}</p></{block.type}>"
        case "caption" | "footnote" | "formula":
            return f'<p class="{block.type}">{text}</p>'
        case _:
            return f"<p>{text}</p>"


def _figure(entry: Single) -> str:
    """A table without a caption stays bare, so that programs find it as they expect it."""
    block, caption = entry.block, entry.caption
    parts = []
    if block.image is not None:
        parts.append(_image(block.image, one_line(bare(caption.text) if caption else "")))
    if block.table is not None:
        parts.append(table.html(block.table))
    elif block.text.strip():
        parts.append(f"<p>{in_html(_text(marked(block)), block)}</p>")
    if block.type == "table" and caption is None:
        return "\n".join(parts)
    if caption is not None:
        parts.insert(
            len(parts) if entry.caption_below else 0, f"<figcaption>{_text(marked(caption))}</figcaption>"
        )
    return "\n".join(["<figure>", *parts, "</figure>"])


def _image(image: Image, alternative: str) -> str:
    data = base64.b64encode(image.data).decode("ascii")
    source = escape(f"data:{image.mime_type};base64,{data}")
    return f'<img src="{source}" width="{image.width}" height="{image.height}" alt="{escape(alternative)}">'


def _list(items: Sequence[Item]) -> str:
    """`ol` for runs of items numbered like `1.`, with each number given; else `ul`."""
    lists = []
    for ordered, run in groupby(items, key=lambda item: _number(item.block) is not None):
        tag = "ol" if ordered else "ul"
        lists.append("\n".join([f"<{tag}>", *map(_item, run), f"</{tag}>"]))
    return "\n".join(lists)


def _item(item: Item) -> str:
    number, printed = _number(item.block), bare(printed_marker(item.block))
    attribute, text = "", in_html(_text(marked(item.block)), item.block)
    if number is not None:
        attribute = f' value="{number}"'
    elif printed:
        attribute, text = ' class="marked"', f"{_text(printed)} {text}"
    children = f"\n{_list(item.children)}\n" if item.children else ""
    return f"<li{attribute}>{text}{children}</li>"


def _number(block: Block) -> int | None:
    """Of a marker that HTML would print the same: `7.`, but not `7)` or `07.`."""
    digits = printed_marker(block).removesuffix(".")
    plain = printed_marker(block) == f"{digits}." and digits.isascii() and digits.isdecimal()
    return int(digits) if plain and len(digits) < 10 and digits == str(int(digits)) else None


def _text(text: str) -> str:
    return escape(clean(text).strip(), quote=False).replace("\n", "<br>")
