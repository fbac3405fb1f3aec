"""The tools compared, each as it comes: a function that loads it and gives a reader of pages."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree, html

from internvl_loaders.evaluate import PageReading
from internvl_loaders.evaluate.markup import markdown_html, markdown_text

ReadPages = Callable[[Path, str | None, str], list[PageReading]]
"""Path, password or None, language (BCP 47, may be empty) -> pages; raises where the tool fails."""

RAPIDOCR_DPI = 200
TESSERACT_DPI = 300


def ours() -> ReadPages:
    """`internvl_loaders.parse` with its defaults."""
    from internvl_loaders.evaluate.run import parse_reader
    from internvl_loaders.options import ParseOptions

    parse = parse_reader(ParseOptions())

    def read(path: Path, password: str | None, lang: str) -> list[PageReading]:
        reading = parse(path, password)
        if reading.error is not None:
            raise RuntimeError(reading.error)
        return list(reading.pages)

    return read


def rapidocr() -> ReadPages:
    """`RapidOCR()` on the path of an image or on the drawn pages of a PDF; its lines in its order."""
    from rapidocr import RapidOCR

    engine: Any = RapidOCR()

    def read(path: Path, password: str | None, lang: str) -> list[PageReading]:
        images = _drawn(path, password, RAPIDOCR_DPI) if _is_pdf(path) else [str(path)]
        return [
            PageReading(number=number, text="\n".join(engine(image).txts or ()))
            for number, image in enumerate(images, start=1)
        ]

    return read


def tesseract() -> ReadPages:
    """Tesseract's command with its defaults; Chinese and Japanese with `chi_sim+eng`, else `eng`."""
    subprocess.run(["tesseract", "--version"], check=True, capture_output=True)

    def run(source: str, data: bytes | None, lang: str) -> str:
        model = "chi_sim+eng" if lang[:2] in {"zh", "ja"} else "eng"
        done = subprocess.run(
            ["tesseract", source, "stdout", "-l", model], input=data, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
        return done.stdout.decode(errors="replace")

    def read(path: Path, password: str | None, lang: str) -> list[PageReading]:
        if _is_pdf(path):
            texts = [run("stdin", _png(i), lang) for i in _drawn(path, password, TESSERACT_DPI)]
        else:
            texts = run(str(path), None, lang).removesuffix("\f").split("\f")
        return [PageReading(number=number, text=text) for number, text in enumerate(texts, start=1)]

    return read


def pymupdf() -> ReadPages:
    """PyMuPDF's `get_text()`."""
    import pymupdf as mupdf

    def read(path: Path, password: str | None, lang: str) -> list[PageReading]:
        with _opened(mupdf, path, password) as document:
            return [
                PageReading(number=number, text=page.get_text())
                for number, page in enumerate(document, start=1)
            ]

    return read


def pymupdf4llm() -> ReadPages:
    """`to_markdown(page_chunks=True)`, OCR included where it decides so; tables from its markdown."""
    import pymupdf as mupdf
    import pymupdf4llm as llm

    def read(path: Path, password: str | None, lang: str) -> list[PageReading]:
        chunks = llm.to_markdown(_opened(mupdf, path, password), page_chunks=True)
        return [_markdown_page(number, chunk["text"]) for number, chunk in enumerate(chunks, start=1)]

    return read


TOOLS: dict[str, Callable[[], ReadPages]] = {
    "internvl": ours,
    "rapidocr": rapidocr,
    "tesseract": tesseract,
    "pymupdf": pymupdf,
    "pymupdf4llm": pymupdf4llm,
}


def _markdown_page(number: int, markdown: str) -> PageReading:
    rendered = markdown_html(markdown)
    root = html.document_fromstring(rendered) if rendered.strip() else html.Element("body")
    tables = tuple(etree.tostring(t, encoding="unicode", with_tail=False) for t in root.iter("table"))
    return PageReading(number=number, text=markdown_text(markdown), tables=tables)


def _opened(mupdf: Any, path: Path, password: str | None) -> Any:
    document = mupdf.open(path)
    if document.needs_pass and not document.authenticate(password or ""):
        raise PermissionError("wrong or missing password")
    return document


def _is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)


def _drawn(path: Path, password: str | None, dpi: int) -> Iterator[Any]:
    """The pages of a PDF as BGR arrays."""
    import pypdfium2

    with pypdfium2.PdfDocument(path, password=password) as document:
        for page in document:
            yield page.render(scale=dpi / 72).to_numpy()


def _png(image: Any) -> bytes:
    import PIL.Image

    data = io.BytesIO()
    PIL.Image.fromarray(image[:, :, ::-1] if image.ndim == 3 else image).save(
        data, "PNG", dpi=(TESSERACT_DPI,) * 2
    )
    return data.getvalue()
