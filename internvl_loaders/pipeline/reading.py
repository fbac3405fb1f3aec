"""One open document, read page by page: text layer where it is sound, OCR where it is not."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.media.open import sha256
from internvl_llm.media.pixels import is_blank, scale_within
from internvl_llm.media.workers.aside import aside, starved
from internvl_llm.media.workers.frames import Reply
from internvl_llm.media.workers.picture import packed
from internvl_loaders.content import Content
from internvl_loaders.document import Block, Box, Image, Page
from internvl_loaders.errors import PageError
from internvl_loaders.ground.witness import Witness, WitnessWord
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.draft import Draft, encoded, lies_on, may_hold_text, width
from internvl_loaders.pipeline.embedded import read_comments, read_embedded
from internvl_loaders.pipeline.looks import DPI, with_marks, without_unseen
from internvl_loaders.readers.open import open_document
from internvl_loaders.readers.turn import upright
from internvl_loaders.structure import structure
from internvl_loaders.structure.forms import filled_in
from internvl_loaders.structure.line_numbers import without_line_numbers
from internvl_loaders.structure.links import linked
from internvl_loaders.structure.sane import sane
from internvl_loaders.structure.strikes import strike
from internvl_loaders.transcribe.text_layer import judge, visible

if TYPE_CHECKING:
    import PIL.Image

    from internvl_loaders.transcribe import ImageTranscriber, OCRPage

_LEAST_PICTURE_CONFIDENCE = 0.7
"""Of what OCR sees in a picture; photographs give a few letters below it."""

_FOR_OCR = 0.8
"""Share of a page's time after which no more lines are read: what was read is kept."""

_CLEAR = 0.93
"""Confidence of the lines read to turn a page upright, below which it is by hand, or blurred."""

_LEVEL = 0.5
"""Degrees of tilt within which the boxes of a page that is read as it stands are in their places."""

_PIXELS_PER_TILE = 4 * 448**2
"""Of an image for a model: twice what its tiles show in both directions, so that scaling costs nothing."""

KEPT_CONTENTS = 6
"""Page contents a document keeps, so that a page's neighbours are not extracted again."""


def opener(document: Path | bytes, settings: dict[str, Any]) -> OpenDocument:
    """What a worker opens: `settings` are the `name` that errors call it, and `options`, of ParseOptions."""
    return OpenDocument(document, settings["name"], ParseOptions.model_validate(settings["options"]))


class OpenDocument:
    """A document opened once a worker; reading a page does not depend on pages read before."""

    def __init__(self, document: Path | bytes, name: str, options: ParseOptions) -> None:
        self.document = document
        self.options = options
        self.reader = open_document(document, name=name, password=options.password, limits=options.limits)
        self._contents: OrderedDict[int, Content] = OrderedDict()
        self._late = False
        self._known: dict[str, Any] = {}
        """Of the page shown last: how many letters its text layer has, its
        witness, or whether it is `hard` to read."""

    def answer(self, request: dict[str, Any]) -> Reply:
        """`open`: how many pages it has, and its hash. `page`: a page as JSON. `show`: that, and after it the
        picture that a model is to read, where it is to, with the words of a sound text layer as its witness.
        `witness`: the words that OCR sees on a page that was shown. The page is `late` where it has lines
        that there was no time for."""
        if request["op"] == "open":
            told = {"pages": len(self), "sha256": sha256(self.document)}
            return told | ({"attached": self.reader.attached()} if self.options.attachments else {}), b""
        if request["op"] == "attached":
            return {}, self.reader.attached_file(request["index"])
        started, beside = time.perf_counter(), request.get("beside", ())
        if request["op"] == "witness":
            witness = self.seen(request["page"], request["threads"], moved=request["moved"])
            return {"witness": witness.plain(), "seconds": time.perf_counter() - started}, b""
        picture = None
        if request["op"] == "show":
            page, picture = self.show(request["page"], request["threads"], beside)
        else:
            page = self.read(request["page"], request["threads"], beside)
        timings = {**page.timings, "total": round(time.perf_counter() - started, 4)}
        payload = page.model_copy(update={"timings": timings}).model_dump_json().encode()
        head: dict[str, Any] = {"late": True} if self._late else {}
        if picture is None:
            return head, payload
        shape, pixels = packed(picture)
        head |= self._known
        return head | {"picture": shape, "page": len(payload)}, payload + pixels

    def __len__(self) -> int:
        return len(self.reader)

    def close(self) -> None:
        self.reader.close()

    def read(self, number: int, threads: int, beside: Sequence[int] = ()) -> Page:
        """Page `number` (1-based), OCR on so many threads; pages `beside` it tell what they have in common.

        Raises PageError, or what a reader raises.
        """
        index = number - 1
        until = time.monotonic() + _FOR_OCR * self.options.limits.max_seconds
        draft = Draft(size=self.reader.size(index), until=until)
        choice = self.options.transcriber
        with draft.timed("content"):
            verdict = judge(self._content(index))
        if choice == "text-layer" or (choice in {"auto", "internvl"} and verdict.sound):
            self._read_text_layer(draft, index, beside, painted_only=verdict.sound)
            if not verdict.sound and verdict.kind != "empty":
                if not draft.says_something:
                    raise PageError(verdict.reason, remedy="Read it with transcriber auto or rapidocr")
                draft.reasons.append(verdict.reason)
            elif choice == "auto":
                self._read_pictures(draft, index, threads)
        elif verdict.kind == "empty":
            draft.reasons.append(verdict.reason)
        else:
            self._read_image(draft, index, threads)
            if choice == "auto" and not draft.says_something and self._content(index).spans:
                self._read_text_layer(draft, index, beside, painted_only=False)
                draft.status, draft.attempts = "fallback", 2
                draft.reasons.append(
                    f"nothing seen on the page image; its text layer is used ({verdict.reason})"
                )
        return self._page(draft, index)

    def show(
        self, number: int, threads: int, beside: Sequence[int] = ()
    ) -> tuple[Page, PIL.Image.Image | None]:
        """Page `number` as `read` gives it where no model is needed: its text layer will do, or it is blank.

        Else what is known of it so far, and its image, turned upright, for a model to transcribe.
        """
        index = number - 1
        verdict = judge(self._content(index))
        if verdict.kind == "empty" or (self.options.transcriber == "auto" and verdict.sound):
            return self.read(number, threads, beside), None
        draft = Draft(size=self.reader.size(index))
        image = self._rendered(draft, index)
        if is_blank(image):
            draft.reasons.append("nothing is on the page image")
            return self._page(draft, index), None
        draft.method, self._known = "internvl", {}
        with draft.timed("orient"):
            if verdict.sound:
                content, draft.rotation = upright(visible(self._content(index)))
                self._known["letters"] = sum(c.isalnum() for span in content.spans for c in span.text)
                if draft.rotation:
                    image = image.rotate(draft.rotation, expand=True)
                if draft.rotation % 180:
                    draft.size = draft.size[1], draft.size[0]
                if self.options.witness in ("auto", "text-layer"):
                    self._known["witness"] = witness_of(content, "text-layer").plain()
            else:
                points = draft.size[0] / image.width
                found = _transcriber(threads).upright(image)
                image, draft.rotation, draft.skew = found.image, found.rotation, found.skew
                draft.size = image.width * points, image.height * points
                self._known["hard"] = found.confidence is not None and found.confidence < _CLEAR
        draft.image = image
        most = _PIXELS_PER_TILE * self.options.max_tiles
        scale = scale_within(image.width, image.height, 1.0, most)
        if scale < 1:
            wanted = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
            image = image.resize(wanted, reducing_gap=2.0)
        if not verdict.sound:
            from internvl_loaders.transcribe.ocr.light import is_dim, lightened

            if is_dim(image):
                image = lightened(image)
                draft.reasons.append("its image is dark or pale, and was shown with more contrast")
        return self._page(draft, index), image

    def seen(self, number: int, threads: int, *, moved: bool) -> Witness:
        """What OCR sees of page `number` on the image that `show` gave, which was turned or straightened if
        it was `moved`."""
        index = number - 1
        draft = Draft(size=self.reader.size(index))
        draft.until = time.monotonic() + _FOR_OCR * self.options.limits.max_seconds
        image = self._rendered(draft, index)
        dpi = image.width / draft.size[0] * 72
        reading = _ocr(draft, _transcriber(threads).upright(image).image if moved else image, dpi, threads)
        if reading.rotation or abs(reading.skew) > _LEVEL:
            return Witness((), "rapidocr")  # it takes the page for another way up: its boxes are elsewhere
        return witness_of(reading.content, "rapidocr", reading.confidence)

    def _page(self, draft: Draft, index: int) -> Page:
        notes = self.reader.notes(index)
        if self.options.annotations == "keep":
            read_comments(draft, self.reader, index)
        if index == 0:
            read_embedded(draft, self.reader)
        self._late = draft.late > 0
        if self._late:
            most = self.options.limits.max_seconds
            late = f"there was no time to read {_lines(draft.late)} of text on the page image"
            notes = [*notes, f"{late}; raise max_seconds ({most:g})"]
        if notes and draft.status == "ok":
            draft.status = "fallback"
        draft.reasons.extend(notes)
        if not draft.blocks and draft.status != "fallback":
            draft.status = "empty"
        width, height = draft.size
        return Page(
            source="",
            number=index + 1,
            label=self.reader.label(index),
            width=round(width, 2),
            height=round(height, 2),
            rotation=draft.rotation,
            skew=round(draft.skew, 2),
            status=draft.status,
            reason="; ".join(draft.reasons),
            method=draft.method,
            attempts=draft.attempts,
            confidence=None if draft.confidence is None else round(draft.confidence, 4),
            timings=draft.timings,
            blocks=tuple(self._with_crops(draft, index)),
            fields=tuple(draft.fields),
            unseen=draft.unseen,
            line_numbers=draft.line_numbers,
            image=self._page_image(draft, index),
        )

    def _content(self, index: int) -> Content:
        if index not in self._contents:
            self._contents[index] = sane(self.reader.content(index))
        self._contents.move_to_end(index)
        while len(self._contents) > KEPT_CONTENTS:
            self._contents.popitem(last=False)
        return self._contents[index]

    def _wanted(self, content: Content) -> Content:
        """With struck words marked or left out."""
        content = strike(content)
        if self.options.struck == "mark":
            return content
        return replace(content, spans=[s for s in content.spans if not s.struck])

    def _neighbours(self, draft: Draft, beside: Sequence[int]) -> list[Content]:
        found = []
        for number in beside:
            try:
                if number - 1 in self._contents:
                    found.append(self._content(number - 1))
                else:
                    with aside(number):
                        found.append(self._content(number - 1))
            except Exception as error:  # its own trouble: this page does without, but says so
                if starved(error):
                    raise
                told = f"{type(error).__name__}: {error}"[:200]
                draft.reasons.append(f"read without a look at page {number} ({told})")
        return found

    def _read_text_layer(
        self, draft: Draft, index: int, beside: Sequence[int], *, painted_only: bool
    ) -> None:
        draft.method = "text-layer"
        content = self._content(index)
        if painted_only and self.options.unseen == "omit":
            pixels = self.options.limits.max_pixels
            content = without_unseen(draft, content, lambda: self.reader.render(index, DPI, pixels))
        content, draft.rotation = upright(visible(content) if painted_only else content)
        draft.size = (content.width, content.height)
        if content.shapes:
            content = with_marks(draft, content, lambda: self._rendered(draft, index))
        with draft.timed("structure"):
            content, draft.line_numbers = without_line_numbers(linked(content))
            content, draft.fields = filled_in(content)
            draft.blocks = structure(
                self._wanted(content), words=self.options.words, neighbours=self._neighbours(draft, beside)
            )

    def _read_pictures(self, draft: Draft, index: int, threads: int) -> None:
        """Text inside a born-digital page's pictures is text of the page: the figure's."""
        told = 0
        for place, block in enumerate(draft.blocks):
            if block.type != "figure" or block.text or not may_hold_text(block, draft.size):
                continue
            if any(lies_on(other, block) for other in draft.blocks):
                continue  # a background: what is seen on it is in the text layer
            crop = self._crop(draft, index, block)
            reading = _ocr(draft, crop, crop.width / (width(block) * draft.size[0]) * 72, threads)
            if reading.confidence is not None and reading.confidence >= _LEAST_PICTURE_CONFIDENCE:
                text = "\n".join(found.text for found in structure(reading.content) if found.text)
                update = {"text": text, "confidence": round(reading.confidence, 4)}
                draft.blocks[place] = block.model_copy(update=update)
                told += 1
        if told:
            draft.reasons.append(f"the text in {told} picture{'s' * (told > 1)} was read by rapidocr")

    def _read_image(self, draft: Draft, index: int, threads: int) -> None:
        from internvl_loaders.transcribe.ocr.boxes import with_boxes

        draft.method = "rapidocr"
        image = self._rendered(draft, index)
        reading = _ocr(draft, image, image.width / draft.size[0] * 72, threads)
        draft.timings |= reading.timings
        draft.rotation, draft.skew = reading.rotation, reading.skew
        draft.confidence = reading.confidence
        draft.size = (reading.content.width, reading.content.height)
        draft.image = reading.image or image
        if reading.unread:
            draft.status = "fallback"
            told = f"{_lines(reading.unread)} of text on the page image could not be read: too small or faint"
            draft.reasons.append(told)
        with draft.timed("structure"):
            found = with_boxes(draft.image, reading.content)
            if not (reading.rotation or reading.skew):  # what was undone moved the text
                found = linked(replace(found, links=self._content(index).links))
            content, draft.line_numbers = without_line_numbers(found)
            content, draft.fields = filled_in(content)
            draft.blocks = structure(self._wanted(content), words=self.options.words)
        if not draft.says_something and self._content(index).figures and is_blank(image):
            draft.reasons.append("nothing shows where it has pictures: they are blank, or cannot be decoded")

    def _rendered(self, draft: Draft, index: int) -> PIL.Image.Image:
        if draft.image is None:
            with draft.timed("render"):
                image = self.reader.render(index, self.options.dpi, self.options.limits.max_pixels)
                draft.image = image.rotate(draft.rotation, expand=True) if draft.rotation else image
        return draft.image

    def _with_crops(self, draft: Draft, index: int) -> Iterator[Block]:
        wanted = self.options.images in {"figures", "all"}
        for block in draft.blocks:
            if wanted and block.type == "figure" and block.box is not None:
                image = encoded(self._crop(draft, index, block))
                yield block.model_copy(update={"image": image})
            else:
                yield block

    def _crop(self, draft: Draft, index: int, block: Block) -> PIL.Image.Image:
        page, box = self._rendered(draft, index), block.box
        assert box is not None
        left, top = int(box.x0 * page.width), int(box.y0 * page.height)
        right, bottom = int(box.x1 * page.width) + 1, int(box.y1 * page.height) + 1
        return page.crop((left, top, min(right, page.width), min(bottom, page.height)))

    def _page_image(self, draft: Draft, index: int) -> Image | None:
        if self.options.images not in {"pages", "all"}:
            return None
        return encoded(self._rendered(draft, index))


def witness_of(content: Content, method: str, confidence: float | None = None) -> Witness:
    """The words of a page as they stand on it."""
    width, height = max(content.width, 1e-6), max(content.height, 1e-6)
    words = []
    for span in content.spans:
        box = Box.of(*span.rect, width, height)
        words.append(WitnessWord(span.text, box.x0, box.y0, box.x1, box.y1, span.confidence, span.line))
    return Witness(tuple(words), method, confidence, width / height)


def _lines(count: int) -> str:
    return f"{count} line{'s' * (count > 1)}"


def _ocr(draft: Draft, image: PIL.Image.Image, dpi: float, threads: int) -> OCRPage:
    """What OCR sees on an image, its content made sane."""
    with draft.timed("ocr"):
        reading = _transcriber(threads).read(image, dpi, draft.until)
    draft.late += reading.late
    return replace(reading, content=sane(reading.content))


@cache
def _transcriber(threads: int) -> ImageTranscriber:
    from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber

    return RapidOCRTranscriber(threads)
