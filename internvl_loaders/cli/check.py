"""What `internvl check` finds: installed parts, and what would run where and why."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from internvl_llm.media.workers.pool import cores
from internvl_llm.media.workers.process import python_command
from internvl_loaders.cli.terminal import summary

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
    "torch": ("torch", "torch", "transformers", "the InternVL engine"),
    "transformers": ("transformers", "transformers", "transformers", "the InternVL engine"),
    "accelerate": ("accelerate", "accelerate", "transformers", "several GPUs, int8 and int4"),
    "bitsandbytes": ("bitsandbytes", "bitsandbytes", "quantized", "int8 and int4"),
    "PyAV": ("av", "av", "video", "videos"),
}
_ENGINE = ("torch", "transformers", "accelerate")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is, whether it is there, and what that means."""

    name: str
    state: State
    detail: str


def findings() -> list[Finding]:
    """In the order a reader wants them. Torch is imported where it is installed; nothing is downloaded."""
    findings = [
        Finding(
            "machine",
            "yes",
            f"{cores()} processor cores, Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}",
        ),
        _network(),
    ]
    for name, (module, distribution, extra, note) in _PACKAGES.items():
        findings.append(_package(name, module, distribution, extra, note))
    return [*findings, *_engine(), _weights(), _auto_transcriber()]


def _network() -> Finding:
    """Tried, in a process that does what a worker does."""
    code = "from internvl_llm.media.workers.sandbox import tell; tell()"
    tried = subprocess.run(python_command(code), capture_output=True, text=True, timeout=60, check=False)
    way = tried.stdout.strip()
    if way:
        return Finding("workers' network", "yes", f"they have none ({way})")
    detail = "this system has no way to keep worker processes from it; telemetry of libraries is switched off"
    return Finding("workers' network", "no", detail)


def _engine() -> list[Finding]:
    """What the InternVL engine would run on, and why."""
    missing = [name for name in _ENGINE if not _installed(name)]
    if missing:
        need = f"needs {', '.join(missing)}: pip install 'internvl-documents[transformers]'"
        return [Finding("InternVL engine", "optional", need)]
    try:
        from internvl_llm.hardware import devices

        gpus = devices.gpus()
        device = devices.choose_device("auto", gpus)
        dtype = devices.choose_dtype(device.value, gpus)
        attention = devices.choose_attention(device.value, gpus, dtype.value)
    except Exception as error:  # a broken torch or driver fails in many ways, and must not hide the rest
        return [Finding("InternVL engine", "no", f"torch is installed but does not work ({summary(error)})")]
    findings = [Finding("InternVL engine", "yes", "transformers, in process")]
    for gpu in gpus:
        room = f"{gpu.free / 1e9:.1f} of {gpu.total / 1e9:.1f} GB free"
        capability = ".".join(map(str, gpu.capability))
        findings.append(Finding(f"GPU {gpu.index}", "yes", f"{gpu.name}, {room}, capability {capability}"))
    for name, choice in (("device", device), ("dtype", dtype), ("attention", attention)):
        findings.append(Finding(f"  {name}", "yes", f"{choice.value}: {choice.reason}"))
    return findings


def _weights() -> Finding:
    from internvl_loaders.transcribe.model.choice import local_models

    names = [member.name for member, _ in local_models()]
    if names:
        return Finding("InternVL weights", "yes", f"in the hub's cache: {', '.join(names)}")
    return Finding("InternVL weights", "optional", "none in the hub's cache; see `internvl models`")


def _auto_transcriber() -> Finding:
    from internvl_loaders.errors import InternVLError
    from internvl_loaders.options import ParseOptions
    from internvl_loaders.transcribe.model.choice import choose

    try:
        _, sentence = choose(ParseOptions())
    except InternVLError as error:
        return Finding("transcriber auto", "no", str(error))
    state: State = "yes" if _installed("rapidocr") or "internvl" in sentence else "no"
    choice = sentence.removeprefix("transcriber auto: ")
    return Finding("transcriber auto", state, f"sound text layers are read as they are; {choice}")


def _package(name: str, module: str, distribution: str, extra: str, note: str) -> Finding:
    if _installed(module):
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


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def server_findings(base_url: str, model: str | None) -> Iterator[Finding]:
    """Of a server at that address, each as soon as it is known. Raises OptionError or EngineError."""
    from internvl_llm.engines.open import open_engine

    engine = open_engine(base_url=base_url, model=model or "")
    from internvl_llm.engines.server.checkup import checkup
    from internvl_llm.engines.server.engine import ServerEngine

    assert isinstance(engine, ServerEngine)
    for name, works, sentence in checkup(engine):
        yield Finding(name, "yes" if works else "no", sentence)


def print_table(findings: list[Finding]) -> None:
    """To standard output."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    marks = {"yes": "[green]yes[/green]", "no": "[red]no[/red]", "optional": "[dim]no[/dim]"}
    grid = Table("part", "here", "what it means", box=None, header_style="bold", pad_edge=False)
    for finding in findings:
        grid.add_row(finding.name, marks[finding.state], escape(finding.detail))
    Console(highlight=False, markup=True).print(grid)
