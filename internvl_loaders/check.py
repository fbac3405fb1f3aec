"""What `internvl check` finds: installed parts, and what would run where and why."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from internvl_loaders.workers import cores

State = Literal["yes", "no", "optional"]

_PACKAGES = {
    "PDF reader PyMuPDF": ("pymupdf", "pymupdf", "", "default for text; AGPL or commercial licence"),
    "PDF reader pdfium": ("pypdfium2", "pypdfium2", "", "draws pages; reads what PyMuPDF cannot"),
    "OCR RapidOCR": ("rapidocr", "rapidocr", "", "PP-OCR weights inside the package, no network"),
    "OCR runtime": ("onnxruntime", "onnxruntime", "", ""),
    "LangChain": ("langchain_core", "langchain-core", "langchain", "internvl_loaders.langchain"),
    "LlamaIndex": ("llama_index.core", "llama-index-core", "llama-index", "internvl_loaders.llama_index"),
    "pandas": ("pandas", "pandas", "pandas", "Table.to_pandas"),
    "docling-core": ("docling_core", "docling-core", "docling", "Document.to_docling"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is, whether it is there, and what that means."""

    name: str
    state: State
    detail: str


def findings() -> list[Finding]:
    """In the order a reader wants them; nothing heavy is imported and nothing is downloaded."""
    found = [
        Finding(
            "machine",
            "yes",
            f"{cores()} processor cores, Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}",
        ),
    ]
    for name, (module, distribution, extra, note) in _PACKAGES.items():
        found.append(_package(name, module, distribution, extra, note))
    found += [
        Finding("InternVL engine", "no", "this version has none: scans are read by RapidOCR"),
        Finding(
            "transcriber auto",
            "yes" if _there("rapidocr") else "no",
            "pages with a sound text layer are read from it, all others by RapidOCR",
        ),
    ]
    return found


def _package(name: str, module: str, distribution: str, extra: str, note: str) -> Finding:
    if _there(module):
        try:
            number = version(distribution)
        except PackageNotFoundError:
            number = "of unknown version"
        return Finding(name, "yes", f"{distribution} {number}" + (f" ({note})" if note else ""))
    if extra:
        return Finding(name, "optional", f"for {note}: pip install 'internvl-documents[{extra}]'")
    if module == "pymupdf":
        return Finding(name, "optional", "not installed: pdfium reads every PDF")
    return Finding(name, "no", f"pip install {distribution}")


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def ready(found: list[Finding]) -> bool:
    """Whether documents can be parsed."""
    return not any(f.state == "no" for f in found if f.name != "InternVL engine")


def table(found: list[Finding]) -> None:
    """To standard output."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    marks = {"yes": "[green]yes[/green]", "no": "[red]no[/red]", "optional": "[dim]no[/dim]"}
    grid = Table("part", "here", "what it means", box=None, header_style="bold", pad_edge=False)
    for finding in found:
        grid.add_row(finding.name, marks[finding.state], escape(finding.detail))
    Console(highlight=False, markup=True).print(grid)
