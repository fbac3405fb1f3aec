"""What `internvl ask` does: files and a question to a model, its answer to standard output as it comes."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.open import check, open_engine, to_spec
from internvl_llm.events import Event, Finish, TextDelta
from internvl_llm.grounding import image_boxes
from internvl_llm.media.limits import MediaOptions
from internvl_llm.media.load import load
from internvl_llm.media.page_ranges import page_ranges
from internvl_llm.messages import Document, Image, Message, Text, Video
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.request import Request, Sampling
from internvl_loaders.cli.terminal import printable
from internvl_loaders.errors import DocumentNotFoundError, OptionError

if TYPE_CHECKING:
    from rich.console import Console

_VIDEOS = (
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"),
    *(".webm", ".wmv"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCommand:
    """`given` are the files, and the question last. Wrong use is an OptionError before anything is loaded."""

    given: list[str]
    model: str | None
    engine: str | None = None
    base_url: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    precision: str = "bf16"
    pages: str | None = None
    dpi: int = 200
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int | None = None
    max_tiles: int = 12
    system: str | None = None
    boxes: bool = False
    """Tell the boxes of the answer, in pixels of the one image that is shown."""
    allow_hosts: tuple[str, ...] = ()
    quiet: bool = False

    def run(self) -> None:
        request, spec = self.request(), self.spec()
        request, size = _of_one_image(request) if self.boxes else (request, None)
        if self.quiet or not _console().is_terminal:
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' as well
        started = time.monotonic()
        engine = open_engine(spec)
        with closing(engine.stream(request)) as stream:
            finish, answer = self._tell(stream)
        if size is not None:
            self._tell_boxes(answer, size)
        self._close(finish, time.monotonic() - started)

    def spec(self) -> EngineSpec:
        if self.model is None:
            raise OptionError(
                "no model is named",
                remedy="Give --model (or INTERNVL_MODEL) a name from `internvl models`, or a local folder",
            )
        fields = {"device": self.device, "dtype": self.dtype, "precision": self.precision}
        spec = to_spec(fields | ({"engine": self.engine} if self.engine else {}), self.model, self.base_url)
        check(spec)
        return spec

    def request(self) -> Request:
        *files, question = self.given
        if not files:
            raise OptionError(
                "a file and a question are needed", remedy="Write: internvl ask FILE... QUESTION"
            )
        if not question.strip() or _is_file(question):
            raise OptionError(
                f"the last argument, {question!r}, is no question", remedy="Put the question after the files"
            )
        if self.pages is not None:
            page_ranges(self.pages)
        if not 36 <= self.dpi <= 1200:
            raise OptionError(f"dpi cannot be {self.dpi}", remedy="Give 36 to 1200")
        # With boxes, the user's <ref> is the tag that the model was trained on.
        return Request(
            Message.user(*map(self._part, files), Text(question, grounding=self.boxes)),
            Sampling(max_tokens=self.max_tokens, temperature=self.temperature, seed=self.seed),
            system=DEFAULT_SYSTEM if self.system is None else self.system or None,
            max_tiles=self.max_tiles,
            page=True,
            media=MediaOptions(dpi=self.dpi, allow_hosts=self.allow_hosts),
        )

    def _part(self, file: str) -> Document | Video:
        remote = "://" in file[:64]
        if not remote and not _is_file(file):
            raise DocumentNotFoundError("no such file", source=file, remedy="Check the path")
        suffix = Path(urlsplit(file).path if remote else file).suffix.lower()
        source = file if remote else Path(file)
        return Video(source) if suffix in _VIDEOS else Document(source, self.pages)

    def _tell(self, stream: Generator[Event, None, None]) -> tuple[Finish, str]:
        """The answer, without what a terminal would obey; a line is ended whatever happens."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        console = _console()
        with nullcontext() if self.quiet or not console.is_terminal else console.status("reading"):
            event = next(stream)
        told: list[str] = []
        try:
            while not isinstance(event, Finish):
                if isinstance(event, TextDelta) and (text := printable(event.text)):
                    sys.stdout.write(text)
                    sys.stdout.flush()
                    told.append(text)
                event = next(stream)
            return event, "".join(told)
        finally:
            if told and not told[-1].endswith("\n"):
                sys.stdout.write("\n")
                sys.stdout.flush()

    def _tell_boxes(self, answer: str, size: tuple[int, int]) -> None:
        found = image_boxes(answer, size)
        for label, box in found:
            sys.stdout.write(f"{json.dumps({'label': label, 'box': box, 'size': size})}\n")
        sys.stdout.flush()
        if not found:
            _console().print("internvl: the answer has no boxes.", soft_wrap=True)

    def _close(self, finish: Finish, seconds: float) -> None:
        usage, console = finish.usage, _console()
        if finish.reason == "length":
            console.print("internvl: the answer was cut short. Raise --max-tokens.", soft_wrap=True)
        if not self.quiet:
            read = f"{usage.prompt_tokens:,} tokens read, {usage.image_tokens:,} of them of images"
            console.print(f"{read}, {usage.completion_tokens:,} written, {seconds:.1f} s", soft_wrap=True)


def _of_one_image(request: Request) -> tuple[Request, tuple[int, int]]:
    """The request with its image or page drawn, and the size of that: a box tells no image it is of."""
    question = request.messages[0].parts[-1]
    found = load(request.messages, request.media).images
    if len(found) != 1 or found[0].kind == "frame":
        raise OptionError(
            f"boxes are of one image, and {len(found)} pages and frames are shown",
            remedy="Ask about one image, or one page of a document: --pages N",
        )
    image = found[0].image
    return replace(request, messages=(Message.user(Image(image), question),)), image.size


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a question may be too long for a name, or hold a null
        return False
