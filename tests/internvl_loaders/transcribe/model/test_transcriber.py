"""`parse` with an engine: the scripted one, over real documents and real workers."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import threading
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from blockbuster import blockbuster_ctx
from PIL import ImageDraw, ImageFilter, ImageFont

from internvl_llm.errors import CheckpointError, EngineError, OptionError
from internvl_llm.events import Finish, TextDelta, Usage
from internvl_llm.messages import Image
from internvl_llm.request import Request
from internvl_loaders import Page, ParseOptions, aparse, parse, prompts
from internvl_loaders.document import Document
from internvl_loaders.errors import PageError
from internvl_loaders.pipeline.run import sourced_pages
from tests.kit.pdfs import pdf
from tests.kit.scripted import Script, ScriptedEngine, shown

LOOP = "The same line again and again. " * 200


def scan(*widths: int, text: str = "Total 42") -> bytes:
    """A TIFF of a page a width, by which the script tells them apart."""
    pages = []
    for width in widths:
        page = PIL.Image.new("L", (width, 200), "white")
        ImageDraw.Draw(page).text((30, 60), text, fill="black", font=ImageFont.load_default(40))
        pages.append(page)
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], dpi=(100, 100))
    return out.getvalue()


def by_width(said: dict[int, str | Exception]) -> Script:
    return lambda request: said[shown(request).width]


def read(source: Any, engine: ScriptedEngine, **options: Any) -> list[Page]:
    return list(parse(source, transcriber="internvl", engine=engine, **options))


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("internvl-desk")]


def assert_no_threads() -> None:
    deadline = time.monotonic() + 5
    while threads():
        assert time.monotonic() < deadline, threads()
        time.sleep(0.02)


def test_markdown_tables_and_formulas_become_blocks() -> None:
    answer = (
        "# Report\n\nIn short:\n\n- one\n- two\n\n$$ E = mc^2 $$\n\n"
        "<table><tr><th rowspan=2>a</th><th>b</th></tr><tr><td>1</td></tr></table>\n\n"
        "| x | y |\n|---|---|\n| 1 | 2 |"
    )
    engine = ScriptedEngine(answer)
    (page,) = read(scan(400), engine)
    assert (page.status, page.method, page.attempts, page.reason) == ("ok", "internvl", 1, "")
    kinds = [block.type for block in page.blocks]
    assert kinds == ["heading", "paragraph", "list_item", "list_item", "formula", "table", "table"]
    assert [table.has_spans for table in page.tables] == [True, False]
    assert page.blocks[4].text == "E = mc^2"
    assert "rowspan" in page.markdown and "| 1 | 2 |" in page.markdown
    assert (page.width, page.height) == (288, 144)
    assert {"render", "engine", "total"} <= set(page.timings)


def test_the_model_sees_the_page_and_the_prompt() -> None:
    engine = ScriptedEngine("text")
    read(pdf("Hello", size=(300, 200)), engine, dpi=144, max_tokens=77, max_tiles=9)
    (request,) = engine.requests
    picture, prompt = request.messages[0].parts
    assert isinstance(picture, Image) and isinstance(picture.source, PIL.Image.Image)
    assert picture.source.size == (600, 400)
    assert prompt.text == prompts.PROMPTS[prompts.DEFAULT]
    assert (request.page, request.max_tiles, request.sampling.max_tokens) == (True, 9, 77)
    assert request.sampling.temperature == 0


def test_pages_are_asked_about_at_once_and_come_in_order() -> None:
    widths = [300 + 10 * n for n in range(12)]
    delays = dict(zip(widths, reversed(range(12)), strict=True))

    def uneven(request: Request) -> str:
        width = shown(request).width
        time.sleep(delays[width] * 0.02)
        return f"page {width}"

    engine = ScriptedEngine(uneven, seconds=0.2)
    pages = read(scan(*widths), engine)
    assert [page.text for page in pages] == [f"page {width}" for width in widths]
    assert [page.number for page in pages] == list(range(1, 13))
    assert engine.most > 1
    assert_no_threads()


def test_no_more_than_in_flight() -> None:
    engine = ScriptedEngine("text", seconds=0.1)
    assert len(read(scan(*range(300, 310)), engine, in_flight=3)) == 10
    assert engine.most <= 3


def test_closing_the_iterator_cancels_what_is_asked() -> None:
    engine = ScriptedEngine(by_width({300 + n: "text" for n in range(30)}))
    pages = parse(scan(*range(300, 330)), transcriber="internvl", engine=engine)
    next(pages)
    engine.seconds = 60
    deadline = time.monotonic() + 20
    while not engine.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pages.close()
    assert_no_threads()
    assert engine.running == 0
    assert engine.cancelled > 0


async def test_aparse_never_blocks_and_cancelling_ends_it() -> None:
    engine = ScriptedEngine("text", seconds=0.05)
    with blockbuster_ctx():
        async with aclosing(aparse(scan(300, 310, 320), transcriber="internvl", engine=engine)) as pages:
            assert [page.text async for page in pages] == ["text"] * 3
        engine.seconds = 60

        async def first() -> None:
            async for _ in aparse(scan(300), transcriber="internvl", engine=engine):
                pass

        task = asyncio.create_task(first())
        while not engine.running:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.to_thread(assert_no_threads)
    assert engine.running == 0


def test_a_loop_is_stopped_early_and_the_page_asked_again() -> None:
    engine = ScriptedEngine([LOOP, "All is well"], seconds=0.002)
    (page,) = read(scan(400), engine)
    assert (page.status, page.method, page.attempts, page.text) == ("retried", "internvl", 2, "All is well")
    assert "repeated itself" in page.reason
    assert engine.said < len(LOOP) / 2
    first, second = engine.requests
    assert first.sampling.temperature == 0 < second.sampling.temperature
    assert first.max_tiles != second.max_tiles
    assert second.sampling.repetition_penalty == 1
    assert [record.what.split(",")[0] for record in page.history] == ["greedy", "temperature 0.4"]
    assert "repeated itself" in page.history[0].problem and page.history[1].problem == ""


def test_where_nothing_helps_rapidocr_reads_the_page() -> None:
    engine = ScriptedEngine(LOOP)
    (page,) = read(scan(400), engine)
    assert (page.status, page.method, page.attempts, page.text) == ("fallback", "rapidocr", 5, "Total 42")
    assert "twice the model repeated itself" in page.reason
    assert "read by rapidocr" in page.reason
    assert [record.what for record in page.history][-1] == "read by rapidocr"
    assert len(page.history) == page.attempts
    assert len(engine.requests) == 1 + 1 + 2 + 4
    (page,) = read(scan(400), ScriptedEngine(LOOP), max_attempts=1)
    assert (page.status, page.attempts) == ("fallback", 2)


def test_a_born_digital_page_falls_back_on_its_text_layer() -> None:
    letter = pdf("A letter of\nseveral words.")
    (page,) = read(letter, ScriptedEngine(LOOP), max_attempts=2)
    assert (page.status, page.method) == ("fallback", "text-layer")
    assert "several words" in page.text and "read by text-layer" in page.reason


def test_what_an_engine_stopped_for_repeating_is_not_asked_for_with_more_tokens() -> None:
    text = "Total 42. " + "and so on and so on for ever, " * 4
    stopped = [TextDelta(text), Finish("length", Usage(300, 40))]
    engine = ScriptedEngine([stopped, "All is well"])
    (page,) = read(scan(400), engine)
    assert (page.status, page.text) == ("retried", "All is well")
    assert "repeated itself" in page.reason
    assert [one.sampling.max_tokens for one in engine.requests] == [4096, 4096]


def lines(*texts: str) -> PIL.Image.Image:
    """A page with room between its lines, of 100 pixels each."""
    page = PIL.Image.new("L", (800, 100 * len(texts)), "white")
    for row, text in enumerate(texts):
        ImageDraw.Draw(page).text((60, 100 * row + 30), text, fill="black", font=ImageFont.load_default(40))
    return page


def test_a_page_that_loops_is_read_in_bands() -> None:
    page = lines(*(f"Line number {row}" for row in range(8)))
    page.paste(40, (0, 780, 800, 800))  # by which the script knows its end

    def script(request: Request) -> str:
        image = shown(request)
        lower = image.getpixel((5, image.height - 5)) == (40, 40, 40)
        return LOOP if image.height > 450 else f"{'lower' if lower else 'upper'} {image.height}"

    (read_,) = read(page, ScriptedEngine(script))
    assert (read_.status, read_.attempts, read_.method) == ("retried", 3, "internvl")
    (first, above), (second, below) = (part.split() for part in read_.text.split("\n\n"))
    assert (first, second) == ("upper", "lower")
    assert int(above) + int(below) == 800
    assert "read in bands" in read_.reason
    assert read_.history[-1].what.startswith("2 bands of the page, greedy")


@pytest.mark.parametrize("best_of", [1, 2])
def test_only_the_bands_that_went_wrong_are_cut_further(best_of: int) -> None:
    page = lines(*(f"Line number {row}" for row in range(8)))
    dark = page.crop((0, 600, 800, 800))  # the last quarter, by which the script knows it
    page.paste(40, (0, 780, 800, 800))

    def script(request: Request) -> str:
        image = shown(request)
        bad = image.height > 300 and image.getpixel((5, image.height - 5)) == (40, 40, 40)
        return LOOP if bad else f"{image.height} high"

    engine = ScriptedEngine(script)
    (read_,) = read(page, engine, best_of=best_of)
    assert dark.height == 200
    assert (read_.status, read_.attempts) == ("retried", 4)
    heights = [int(word) for word in read_.text.split() if word.isdigit()]
    assert len(heights) == 3 and sum(heights) == 800
    assert len(engine.requests) == 1 + 1 + 2 + 2
    assert {request.n for request in engine.requests} == {best_of}


def test_a_failure_in_a_band_costs_no_page() -> None:
    page = lines(*(f"Line number {row}" for row in range(8)))

    def script(request: Request) -> str | Exception:
        return LOOP if shown(request).height > 450 else EngineError("gone")

    (read_,) = read(page, ScriptedEngine(script))
    assert (read_.status, read_.method, read_.attempts) == ("fallback", "rapidocr", 4)
    assert "gone" in read_.reason and "Line number 7" in read_.text


def test_tokens_and_seconds_of_a_page_are_bounded() -> None:
    engine = ScriptedEngine(LOOP)
    (page,) = read(scan(400), engine, max_page_tokens=100)
    assert page.status == "fallback"
    assert [one.sampling.max_tokens for one in engine.requests] == [100, 100 - (page.history[0].tokens or 0)]
    assert sum(record.tokens or 0 for record in page.history) == 100

    engine = ScriptedEngine("a slow answer", seconds=30)
    (page,) = read(scan(400), engine, max_page_seconds=0.2)
    assert (page.status, page.text) == ("fallback", "Total 42")
    assert "took too long" in page.reason
    assert engine.running == 0 and engine.cancelled == 1


def test_a_page_with_a_sound_text_layer_says_how_much_there_is() -> None:
    letter = pdf("A letter of\n" + "several words.\n" * 20)
    runaway = "".join(f"Sentence number {n} that nobody wrote. " for n in range(400))
    (page,) = read(letter, ScriptedEngine(runaway), max_attempts=1)
    assert (page.status, page.method) == ("fallback", "text-layer")
    assert "of a page that shows about" in page.reason


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("logicocr-1", prompts.PROMPTS["logicocr-1"]),
        ("omnidocbench", prompts.PROMPTS["omnidocbench-1"]),
        ("Read the stamps only.", "Read the stamps only."),
        ("读出全部文字", "读出全部文字"),
    ],
)
def test_another_prompt(given: str, asked: str) -> None:
    engine = ScriptedEngine("text")
    read(scan(400), engine, prompt=given)
    assert engine.requests[0].messages[0].parts[1].text == asked


def test_what_the_model_began_with_is_kept_where_rapidocr_sees_nothing() -> None:
    page = PIL.Image.new("L", (400, 200), "white")
    page.paste(0, (100, 60, 300, 140))
    (page_,) = read(page, ScriptedEngine(LOOP))
    assert (page_.status, page_.method, page_.text) == ("fallback", "internvl", LOOP[:31].strip())
    assert page_.reason.endswith("(it sees nothing); this is what the model began with")


@pytest.mark.parametrize("silence", ["", "  \n", "```markdown\n```"])
def test_silence_about_a_page_with_ink_is_no_answer(silence: str) -> None:
    (page,) = read(scan(400), ScriptedEngine(silence))
    assert (page.status, page.text, page.attempts) == ("fallback", "Total 42", 3)
    assert "twice the model said nothing" in page.reason


def test_a_blank_page_is_not_asked_about() -> None:
    engine = ScriptedEngine("hallucination")
    pages = read([scan(400, text=""), pdf("")], engine)
    assert [(page.status, page.text) for page in pages] == [("empty", "")] * 2
    assert all(page.reason for page in pages)
    assert engine.requests == []


def test_an_answer_cut_off_is_asked_for_again_with_more_tokens() -> None:
    long = " ".join(f"word{n}" for n in range(60))
    engine = ScriptedEngine(long)
    (page,) = read(scan(400), engine, max_tokens=80)
    assert (page.status, page.text, page.attempts) == ("retried", long, 2)
    assert [request.sampling.max_tokens for request in engine.requests] == [80, 160]
    assert "max_tokens = 80" in page.reason

    request = engine.requests[0]
    (page,) = read(scan(400), ScriptedEngine(long), max_tokens=30, max_attempts=2)
    assert (page.status, page.text) == ("fallback", long[:240])
    assert "max_tokens = 60; what follows is missing" in page.reason

    prompt = engine.count_tokens(request).prompt_tokens
    engine = ScriptedEngine(long, context=prompt + 30)
    (page,) = read(scan(400), engine, max_tokens=30, max_attempts=1)
    assert (page.status, page.text, len(engine.requests)) == ("fallback", long[:120], 1)
    assert "what follows is missing" in page.reason


def test_an_engine_that_fails_costs_the_page() -> None:
    said = {
        400: "good",
        410: EngineError("out of memory", remedy="Use less"),
        420: RuntimeError("cuda"),
        430: "good",
    }
    pages = read(scan(*said), ScriptedEngine(by_width(said)))
    assert [page.status for page in pages] == ["ok", "failed", "failed", "ok"]
    assert pages[1].reason == "out of memory. Use less."
    assert "RuntimeError: cuda" in pages[2].reason
    with pytest.raises(EngineError, match="page 2: out of memory"):
        read(scan(*said), ScriptedEngine(by_width(said)), on_error="raise")


def test_a_failed_second_try_tells_of_the_first() -> None:
    (page,) = read(scan(400), ScriptedEngine([LOOP, EngineError("gone")]))
    assert page.status == "fallback"
    assert "repeated itself" in page.reason and "gone" in page.reason


def test_a_turned_scan_is_shown_upright() -> None:
    upright = PIL.Image.open(io.BytesIO(scan(700, text="Invoice of the year 42")))
    out = io.BytesIO()
    upright.rotate(-90, expand=True).save(out, "PNG", dpi=(100, 100))
    seen: list[tuple[int, int]] = []

    def script(request: Request) -> str:
        seen.append(shown(request).size)
        return "text"

    (page,) = read(out.getvalue(), ScriptedEngine(script))
    assert page.rotation == 90
    assert seen == [(700, 200)]
    assert page.width > page.height


@pytest.mark.parametrize(("blur", "least"), [(0, 1), (5, 16)])
def test_what_is_blurred_gets_more_tiles(blur: int, least: int) -> None:
    page = lines("Total of the year 42", "Paid by card on Monday", "Thank you for the visit")
    engine = ScriptedEngine("text")
    read(page.filter(ImageFilter.GaussianBlur(blur)), engine)
    read(page.filter(ImageFilter.GaussianBlur(blur)), engine, max_tiles=1)
    assert [(one.min_tiles, one.max_tiles) for one in engine.requests] == [(least, 24), (1, 1)]


def test_a_dark_photograph_is_shown_with_more_contrast() -> None:
    engine = ScriptedEngine("text")
    clear = lines("Total of the year 42", "Paid by card on Monday")
    for image in (clear, clear.point(lambda value: value // 5)):
        (page,) = read(image, engine)
    first, second = (max(shown(one).convert("L").tobytes()) for one in engine.requests)
    assert first == 255 and second > 60
    assert page.status == "ok" and "more contrast" in page.reason


@pytest.mark.parametrize("tilt", [-3.0, 3.0])
@pytest.mark.slow
def test_a_tilted_scan_is_shown_level(tilt: float) -> None:
    """Whichever way it lies; the lines' feet are where they are on the straight page."""
    straight = PIL.Image.new("L", (900, 600), "white")
    draw = ImageDraw.Draw(straight)
    for row in range(6):
        text = f"Line {row} of a letter to the bank"
        draw.text((80, 60 + 80 * row), text, fill="black", font=ImageFont.load_default(40))
    tilted = straight.rotate(-tilt, expand=True, fillcolor="white", resample=PIL.Image.Resampling.BICUBIC)
    seen: list[PIL.Image.Image] = []

    def script(request: Request) -> str:
        seen.append(shown(request))
        return "text"

    (page,) = read(tilted.rotate(-90, expand=True), ScriptedEngine(script))
    assert (page.rotation, page.skew) == (90, pytest.approx(tilt, abs=0.4))
    assert page.width / page.height == pytest.approx(seen[0].width / seen[0].height, abs=0.01)
    ink = [sum(row) > 0 for row in _rows(seen[0])]
    assert sum(a and not b for a, b in itertools.pairwise(ink)) == 6, "six lines with room between them"


def _rows(image: PIL.Image.Image) -> list[list[bool]]:
    grey = image.convert("L").crop((40, 0, image.width - 40, image.height))
    dark = [value < 100 for value in grey.tobytes()]
    return [dark[at : at + grey.width] for at in range(0, len(dark), grey.width)]


def test_auto_asks_only_about_pages_without_a_sound_text_layer(caplog: pytest.LogCaptureFixture) -> None:
    engine = ScriptedEngine("from the model")
    with caplog.at_level(logging.INFO, "internvl_loaders"):
        pages = list(parse([pdf("A letter of\nseveral words."), scan(400)], engine=engine))
    assert [page.method for page in pages] == ["text-layer", "internvl"]
    assert len(engine.requests) == 1
    assert [r.getMessage() for r in caplog.records if "transcriber auto" in r.getMessage()] == [
        "transcriber auto: pages without a sound text layer go to internvl (scripted-1B: the engine given)"
    ]


def test_answers_are_cached_by_what_they_depend_on(tmp_path: Path) -> None:
    engine = ScriptedEngine("first")
    options: dict[str, Any] = {"cache_dir": tmp_path}
    read(scan(400), engine, **options)
    engine.script = lambda request: "second"
    (page,) = read(scan(400), engine, **options)
    assert (page.text, len(engine.requests)) == ("first", 1)
    for change in (
        {"max_tokens": 99},
        {"max_tiles": 6},
        {"best_of": 2},
        {"dpi": 100},
        {"prompt": "logicocr"},
    ):
        assert read(scan(400), engine, **options, **change)[0].text == "second"
    another = ScriptedEngine("third")
    assert read(scan(400), another, **options)[0].text == "third"


def test_failures_are_not_cached(tmp_path: Path) -> None:
    engine = ScriptedEngine([EngineError("busy"), "text"])
    assert [read(scan(400), engine, cache_dir=tmp_path)[0].status for _ in range(2)] == ["failed", "ok"]


def test_best_of_takes_the_answer_most_like_the_others() -> None:
    engine = ScriptedEngine(["Total 42 EUR", "Tota1 42 EUR", "nonsense"])
    (page,) = read(scan(400), engine, best_of=3)
    assert page.text == "Total 42 EUR"
    assert engine.requests[0].n == 3
    assert engine.requests[0].sampling.temperature > 0


@pytest.mark.slow
def test_an_engine_that_cannot_be_opened_raises_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(spec: Any) -> Any:
        raise CheckpointError("its weights are not here", remedy="Fetch them")

    monkeypatch.setattr("internvl_llm.engines.open.open_engine", refuse)
    for on_error in ("placeholder", "skip", "raise", None):
        with pytest.raises(CheckpointError, match="weights are not here"):
            list(parse(scan(400, 410), transcriber="internvl", model="InternVL3-1B", on_error=on_error))
    letter = pdf("A letter of\nseveral words.")
    assert [page.method for page in parse(letter, model="InternVL3-1B")] == ["text-layer"]
    assert_no_threads()


def test_an_engine_may_be_wanted_before_the_first_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = pdf("A letter of\nseveral words.")

    def refuse(spec: Any) -> Any:
        raise CheckpointError("its weights are not here", remedy="Fetch them")

    monkeypatch.setattr("internvl_llm.engines.open.open_engine", refuse)
    for transcriber in ("auto", "internvl"):
        options = ParseOptions.of(model="InternVL3-1B", transcriber=transcriber)
        pages = sourced_pages([letter, scan(400)], options, engine_first=True)
        with pytest.raises(CheckpointError, match="weights are not here"):
            next(pages)
    monkeypatch.setattr("internvl_llm.engines.open.open_engine", lambda spec: ScriptedEngine("text"))
    pages = sourced_pages([letter, scan(400)], options, engine_first=True)
    assert [page.status for _, page in pages] == ["ok", "ok"]
    assert_no_threads()


def test_options_carry_an_engine_but_not_into_json() -> None:
    engine = ScriptedEngine("")
    options = ParseOptions.of(engine=engine, transcriber="internvl")
    assert options.engine is engine
    assert ParseOptions.of(options, dpi=100).engine is engine
    assert {options: 1}[ParseOptions.of(options)] == 1
    assert options.model_dump(mode="json")["engine"] is None
    with pytest.raises(OptionError, match="no engine 'warp'"):
        ParseOptions.of(engine="warp", model="8B")
    with pytest.raises(OptionError, match="engine cannot be a object.*or an engine that is open"):
        ParseOptions.of(engine=object())


def test_a_worker_may_send_anything() -> None:
    from concurrent.futures import Future

    from internvl_loaders.pipeline.desk import Desk
    from internvl_loaders.transcribe.model.choice import Choice
    from internvl_loaders.transcribe.model.transcriber import Transcriber

    engine = ScriptedEngine("text")
    desk = Desk(Transcriber(Choice("x", "y", engine), ParseOptions()), 2, 10_000)
    for head in (
        {"picture": None},
        {"picture": ["L", 2, 2], "page": 3},
        {"picture": ["L", 2, 2], "page": "x"},
    ):
        drawing: Future[Any] = Future()
        final = desk.transcribe(drawing, Future, None)
        drawing.set_result((head, b"{}rubbish"))
        with pytest.raises(PageError, match="no page"):
            final.result(timeout=10)
    desk.close()
    assert_no_threads()


def test_what_the_model_says_around_a_page_is_told_and_the_page_is_ok() -> None:
    said = "Here is the transcription of the page:\n\n| a | b |\n|---|---|\n| 1 |\n\nTotal 42"
    (page,) = read(scan(300), ScriptedEngine(said))
    assert page.status == "ok"
    assert [block.type for block in page.blocks] == ["table", "paragraph"]
    assert "left out ('Here is the transcription of the page:')" in page.reason
    assert "row 2 of a table was filled up" in page.reason


def test_running_lines_and_tables_of_pages_that_a_model_read() -> None:
    said = {
        width: f"ACME Ltd.\n\n| Date | Amount |\n|---|---|\n| 0{n}/05/2025 | {n}.00 |\n\nPage {n} of 3"
        for n, width in enumerate((300, 310, 320), start=1)
    }
    pages = read(scan(*said), ScriptedEngine(by_width(dict(said))))
    document = Document.of(pages)
    marked = [["header", "table", "footer"]] * 3
    assert [[block.type for block in page.blocks] for page in document.pages] == marked
    assert [[block.type for block in page.blocks] for page in pages][1:] == marked[1:]
    (whole,) = document.running_tables
    assert whole.table.grid()[1:] == [["01/05/2025", "1.00"], ["02/05/2025", "2.00"], ["03/05/2025", "3.00"]]
