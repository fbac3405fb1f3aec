"""What a document holds beside its pages: files, and the values filled into a form in XFA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from internvl_llm.media.workers.aside import starved
from internvl_llm.names import on_screen
from internvl_loaders.document import Block, FormField
from internvl_loaders.pipeline.draft import Draft
from internvl_loaders.readers import xfa

if TYPE_CHECKING:
    from internvl_loaders.readers.image import ImageReader
    from internvl_loaders.readers.pdf import PdfReader


def read_embedded(draft: Draft, reader: PdfReader | ImageReader) -> None:
    """Into the draft of the first page; the page itself is read whatever becomes of it."""
    try:
        draft.reasons += embedded_files(reader.attached())
        data = reader.xfa() if xfa.is_placeholder([b.text for b in draft.blocks]) else None
    except Exception as error:
        if starved(error):
            raise
        told = f"{type(error).__name__}: {error}"[:200]
        draft.reasons.append(f"what is embedded in the document cannot be listed ({told})")
        return
    if data is None:
        return
    values = xfa.values_of(data)
    draft.fields += [FormField(kind=v.kind, name=v.name, value=v.value) for v in values]
    draft.blocks += [Block(type="paragraph", text=f"{v.name}: {v.value}") for v in values]
    draft.status = "fallback"
    placeholder = "this is a form in XFA, which only Adobe's programs show; its page is a placeholder"
    draft.reasons.append(f"{placeholder}, and {len(values):,} values filled in were read")


def read_comments(draft: Draft, reader: PdfReader | ImageReader, index: int) -> None:
    """Behind what the page shows; a comment that says who wrote it begins with that."""
    try:
        comments = reader.comments(index)
    except Exception as error:
        if starved(error):
            raise
        draft.reasons.append(f"comments on the page cannot be read ({type(error).__name__}: {error})"[:250])
        return
    draft.blocks += [
        Block(
            type="paragraph",
            text=f"[Comment by {c.author}: {c.text}]" if c.author else f"[Comment: {c.text}]",
        )
        for c in comments
    ]


def embedded_files(names: Sequence[str]) -> list[str]:
    """What a page says of the files in its document."""
    if not names:
        return []
    listed = ", ".join(on_screen(name)[:80] for name in names[:5]) + (", …" if len(names) > 5 else "")
    files = "file is" if len(names) == 1 else "files are"
    return [f"{len(names):,} {files} embedded in the document ({listed}); attachments reads PDFs and images"]
