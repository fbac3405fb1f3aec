"""What `internvl ask` does: files and a question to a model, its answer to standard output as it comes."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.open import check, open_engine, to_spec
from internvl_llm.events import Event, Finish, TextDelta
from internvl_llm.grounding import image_boxes
from internvl_llm.media.limits import MediaOptions
from internvl_llm.media.load import load
from internvl_llm.messages import Document, Image, Message, Text, Video
from internvl_llm.names import printable
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from internvl_llm.request import Request, Sampling
from internvl_loaders.cli.fields import engine_values, request_fields
from internvl_loaders.cli.terminal import hide_bars_of_libraries
from internvl_loaders.errors import DocumentNotFoundError, OptionError
from internvl_loaders.options import ENGINE, ParseOptions

if TYPE_CHECKING:
    from rich.console import Console

_VIDEOS = (
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"),
    *(".webm", ".wmv"),
)


class AskCommand:
    """`fields` are the values of `ask_options`. Wrong use is an OptionError before anything is loaded."""

    def __init__(
        self, *files_and_question: str, fields: Mapping[str, Any], boxes: bool = False, quiet: bool = False
    ) -> None:
        *self.files, self.question = files_and_question
        names = {field.name for field in request_fields()}
        self.request_values = {name: value for name, value in fields.items() if name in names}
        self.options = engine_values({name: value for name, value in fields.items() if name not in names})
        self.boxes = boxes
        """Tell the boxes of the answer, in pixels of the one image that is shown."""
        self.quiet = quiet

    def run(self) -> None:
        request, spec = self.request(), self.spec()
        request, size = _of_one_image(request) if self.boxes else (request, None)
        if self.quiet or not _console().is_terminal:
            hide_bars_of_libraries()
        started = time.monotonic()
        engine = open_engine(spec)
        with closing(engine.stream(request)) as stream:
            finish, answer = self._print(stream)
        if size is not None:
            self._print_boxes(answer, size)
        self._summarize(finish, time.monotonic() - started)

    def spec(self) -> EngineSpec:
        engine = {name: self.options.get(name) for name in ENGINE}
        if engine["model"] is None and engine["base_url"] is None:
            raise OptionError(
                "no model is named",
                remedy="Give --model (or INTERNVL_MODEL) a name from `internvl models`, or a local folder; "
                "or --base-url the address of a server",
            )
        spec = to_spec(**engine)
        check(spec)
        return spec

    def request(self) -> Request:
        if not self.files:
            raise OptionError(
                "a file and a question are needed", remedy="Write: internvl ask FILE... QUESTION"
            )
        if not self.question.strip() or _is_file(self.question):
            raise OptionError(
                f"the last argument, {self.question!r}, is no question",
                remedy="Put the question after the files",
            )
        options = ParseOptions.of(**{n: value for n, value in self.options.items() if n not in ENGINE})
        names = {field.name for field in dataclasses.fields(Sampling)}
        sampling = {name: value for name, value in self.request_values.items() if name in names}
        rest = {name: value for name, value in self.request_values.items() if name not in names}
        rest["system"] = DEFAULT_SYSTEM if rest["system"] is None else rest["system"] or None
        # With boxes, the user's <ref> is the tag that the model was trained on.
        return Request(
            Message.user(
                *(self._part(file, options.pages) for file in self.files),
                Text(self.question, grounding=self.boxes),
            ),
            Sampling(**sampling),
            page=True,
            media=MediaOptions(dpi=options.dpi, allow_hosts=options.allow_hosts),
            **rest,
        )

    @staticmethod
    def _part(file: str, pages: str | None) -> Document | Video:
        remote = "://" in file[:64]
        if not remote and not _is_file(file):
            raise DocumentNotFoundError("no such file", source=file, remedy="Check the path")
        suffix = Path(urlsplit(file).path if remote else file).suffix.lower()
        source = file if remote else Path(file)
        return Video(source) if suffix in _VIDEOS else Document(source, pages)

    def _print(self, stream: Generator[Event, None, None]) -> tuple[Finish, str]:
        """The answer, without what a terminal would obey; a line is ended whatever happens."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        console = _console()
        with nullcontext() if self.quiet or not console.is_terminal else console.status("reading"):
            event = next(stream)
        printed: list[str] = []
        try:
            while not isinstance(event, Finish):
                if isinstance(event, TextDelta) and (text := printable(event.text)):
                    printed.append(text)  # first: an interrupt may come as soon as it is read
                    sys.stdout.write(text)
                    sys.stdout.flush()
                event = next(stream)
            return event, "".join(printed)
        finally:
            if printed and not printed[-1].endswith("\n"):
                sys.stdout.write("\n")
                sys.stdout.flush()

    def _print_boxes(self, answer: str, size: tuple[int, int]) -> None:
        boxes = image_boxes(answer, size)
        for label, box in boxes:
            sys.stdout.write(f"{json.dumps({'label': label, 'box': box, 'size': size})}\n")
        sys.stdout.flush()
        if not boxes:
            _console().print("internvl: the answer has no boxes.", soft_wrap=True)

    def _summarize(self, finish: Finish, seconds: float) -> None:
        usage, console = finish.usage, _console()
        if finish.reason == "length":
            console.print("internvl: the answer was cut short. Raise --max-tokens.", soft_wrap=True)
        if not self.quiet:
            read = f"{usage.prompt_tokens:,} tokens read, {usage.image_tokens:,} of them of images"
            console.print(f"{read}, {usage.completion_tokens:,} written, {seconds:.1f} s", soft_wrap=True)


def _of_one_image(request: Request) -> tuple[Request, tuple[int, int]]:
    """The request with its one image or page, and the size of that: a box tells no image it is of."""
    question = request.messages[0].parts[-1]
    images = load(request.messages, request.media).images
    if len(images) != 1 or images[0].kind == "frame":
        raise OptionError(
            f"boxes are of one image, and {len(images)} pages and frames are shown",
            remedy="Ask about one image, or one page of a document: --pages N",
        )
    image = images[0]
    return dataclasses.replace(request, messages=(Message.user(Image(image), question),)), image.size


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a question may be too long for a name, or hold a null
        return False
