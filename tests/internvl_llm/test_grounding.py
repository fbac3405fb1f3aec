"""InternVL's grounding: what a model wrote as boxes, whatever it wrote; and the grammar that forces them."""

from __future__ import annotations

import math
import random
import re
import time

import PIL.Image
import pytest

from internvl_llm import Grounded, Image, Message, Request, Sampling, Text, boxes, image_boxes, open_engine
from internvl_llm.engine import Engine
from internvl_llm.errors import GrammarError
from internvl_llm.grammar import Exactly
from internvl_llm.grounding import QUESTION, grammar, strip
from internvl_llm.tools import Tool
from tests.kit.checkpoints import built

TOTAL = "<ref>the total</ref><box>[[100, 250, 300, 1000]]</box>"


def grounded(label: str, *thousandths: float) -> Grounded:
    return Grounded(label, *(value / 1000 for value in thousandths))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(built("tiny"), dtype="float32")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TOTAL, [grounded("the total", 100, 250, 300, 1000)]),
        (
            "A <ref>a \n cat</ref><box>[[1, 2, 3, 4], [5,6 ,7,8]]</box><ref>dog</ref> <box>[[0,0,9,9]]</box>",
            [grounded("a cat", 1, 2, 3, 4), grounded("a cat", 5, 6, 7, 8), grounded("dog", 0, 0, 9, 9)],
        ),
        ("<box>[[1, 2, 3, 4]]</box>", [grounded("", 1, 2, 3, 4)]),
        ("<box>[1, 2, 3, 4]</box>", [grounded("", 1, 2, 3, 4)]),
        ("<box>[[12.5, 2., 3, 4.25]]</box>", [grounded("", 3, 2, 12.5, 4.25)]),
        ("<box>[[900, 800, 100, 200]]</box>", [grounded("", 100, 200, 900, 800)]),
        ("<box>[[-5, 2, 1001, 999999999]]</box>", [grounded("", 0, 2, 1000, 1000)]),
        ("<ref>cut</ref><box>[[1, 2, 3, 4], [5, 6", [grounded("cut", 1, 2, 3, 4)]),
        ("<ref>x<ref>y</ref></ref><box>[[1,2,3,4]]", [grounded("y", 1, 2, 3, 4)]),
        ("<box>[[1, 2, 3]] [[1, 2, 3, 4, 5]] [[a, b, c, d]] [[]] [[,,,]] [1,2,3,4</box>", []),
        ("<box>[[nan, inf, -inf, 1e5]] [[1e1, 2, 3, 4]] [[0x1, 2, 3, 4]] [[1_0, 2, 3, 4]]</box>", []),
        ("<box>[[١, ٢, ٣, ٤]] [[1, 2, 3, 1234567890]] [[1 0, 2, 3, 4]]</box>", []),
        ("<box>[[" + " " * 200 + "1, 2, 3, 4]]</box>", []),
        ("[[1, 2, 3, 4]] </box> <ref>[[1, 2, 3, 4]]</ref> <BOX>[[1, 2, 3, 4]]</BOX>", []),
        ("", []),
        ("[[1, 2, 3, 4]]", [grounded("", 1, 2, 3, 4)]),
        (
            "the total[[1, 2, 3, 4], [5,6,7,8]] and\na cat[[9,9,9,9]]dog[[0, 0, 1000, 1000]]",
            [
                grounded("the total", 1, 2, 3, 4),
                grounded("the total", 5, 6, 7, 8),
                grounded("a cat", 9, 9, 9, 9),
                grounded("dog", 0, 0, 1000, 1000),
            ],
        ),
        ("It is at [[1, 2, 3, 4]].", [grounded("", 1, 2, 3, 4)]),
        ("cut[[1, 2, 3, 4], [5, 6", [grounded("cut", 1, 2, 3, 4)]),
        ("<ref>a</ref><box>[[0.25, 0.21, 0.4, 0.5]]</box>", [grounded("a", 250, 210, 400, 500)]),
        ("<ref>a</ref><box>[[0.0, 0.5, 1.0, 1.0]]</box>", [grounded("a", 0, 500, 1000, 1000)]),
        ("<ref>a</ref><box>[[0, 0, 1, 1]]</box>", [grounded("a", 0, 0, 1, 1)]),
        ("<ref>a</ref><box>[[0, 1000, 999, 998]]</box>", []),
        (
            "<ref>a</ref><box>[[0, 0, 0, 0]]</box> <box>null</box> <box>[[-1, -1, -1, -1]]</box>",
            [],
        ),
        ("<ref>a</ref><box>[[900, 200, 100, 800]]</box>", [grounded("a", 100, 200, 900, 800)]),
        ("<ref>a</ref><box>[[100，250，300，1000]]</box>", [grounded("a", 100, 250, 300, 1000)]),
        (
            "<ref>a</ref>[[1, 2, 3, 4]] and <ref>b</ref> [[5,6,7,8]]",
            [grounded("a", 1, 2, 3, 4), grounded("b", 5, 6, 7, 8)],
        ),
        ("car<box>[[1, 2, 3, 4]]</box>", [grounded("car", 1, 2, 3, 4)]),
        (
            "A <ref>bus</ref><box>[[1, 2, 3, 4]]</box> is "
            "<pred>on</pred><box>[[1, 2, 3, 4]]</box><box>[[5, 6, 7, 8]]</box>",
            [grounded("bus", 1, 2, 3, 4), grounded("on", 1, 2, 3, 4), grounded("on", 5, 6, 7, 8)],
        ),
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "a \\"b\\""}]\n```', [grounded('a "b"', 1, 2, 3, 4)]),
        (
            'Found:\n{"objects": [{"label": "a", "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]},'
            ' {"label": "c", "bbox": null}]}',
            [grounded("a", 1, 2, 3, 4), grounded("a", 5, 6, 7, 8)],
        ),
        ("{'bbox_2d': [0.1, 0.25, 0.3, 1.0], 'label': 'a'}", [grounded("a", 100, 250, 300, 1000)]),
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "a"}, {"bbox_2d": [5, 6', [grounded("a", 1, 2, 3, 4)]),
        ('{"bbox_2d": [1, 2, 3, 4], "label": "cut', [grounded("", 1, 2, 3, 4)]),
        ("[1, 2, 3, 4]", [grounded("", 1, 2, 3, 4)]),
        ("The bounding box is [1, 2, 3, 4].", [grounded("", 1, 2, 3, 4)]),
        ("The bounding box coordinates of the region are [x1, y1, x2, y2].", []),
        ("The sides are [1, 2, 3, 4].", []),
        ("[[1, 2, 3, 1001]] [[1, 2, 3, 4, 5]] [[-1, 2, 3, 4]] [[a, b, c, d]] [1, 2, 3, 4] [[1, 2, 3", []),
    ],
)
def test_boxes_of_what_a_model_writes(text: str, found: list[Grounded]) -> None:
    assert list(boxes(text)) == found


def test_whatever_is_written_is_read_within_the_image() -> None:
    pieces = [
        "<ref>",
        "</ref>",
        "<box>",
        "</box>",
        "[",
        "]",
        ",",
        " ",
        "1",
        "1000",
        "-7",
        ".5",
        "9" * 400,
        "e9",
    ]
    pieces += ["\0", "\ud800", "nan", "<", "[[1, 2, 3, 4]]", "[[5000, 1, -1, 0]]"]
    chance, found = random.Random(0), 0
    for _ in range(2000):
        for box in boxes("".join(chance.choices(pieces, k=30))):
            found += 1
            assert 0 <= box.left <= box.right <= 1
            assert 0 <= box.top <= box.bottom <= 1
            left, top, right, bottom = box.pixels(7, 1)
            assert 0 <= left < right <= 7
            assert (top, bottom) == (0, 1)
    assert found > 500


@pytest.mark.parametrize(
    "piece",
    ["<ref>", "<box>", "<box>[", "[[1,2,3,4", "<box>[[1,2,3,4]]", "[" + "1," * 90, "<", "<ref><box>[1 ", "]"],
)
@pytest.mark.parametrize("begins", ["<box>", ""])
def test_reading_takes_linear_time(piece: str, begins: str) -> None:
    def seconds(length: int) -> float:
        text = begins + piece * (length // len(piece))
        started = time.perf_counter()
        boxes(text), strip(text)
        return time.perf_counter() - started

    short, long = (min(seconds(length) for _ in range(3)) for length in (30_000, 300_000))
    assert long < 0.02 + 40 * short


def test_pixels_are_those_a_box_touches() -> None:
    assert grounded("", 100, 250, 300, 1000).pixels(200, 400) == (20, 100, 60, 400)
    assert grounded("", 290, 290, 570, 570).pixels(100, 100) == (29, 29, 57, 57)  # 0.29 * 100 is 28.999...
    assert grounded("", 1, 1, 2, 2).pixels(100, 100) == (0, 0, 1, 1)
    assert grounded("", 500, 500, 500, 500).pixels(10, 10) == (5, 5, 6, 6)
    assert grounded("", 1000, 0, 1000, 0).pixels(10, 10) == (9, 0, 10, 1)
    assert image_boxes(TOTAL, (200, 400)) == (("the total", (20, 100, 60, 400)),)


def test_what_is_said_without_the_boxes() -> None:
    assert strip(f"  It is {TOTAL}, there.") == "It is the total, there."
    assert strip("a<box>[[1, 2") == "a"
    assert strip("the total[[1, 2, 3, 4]], and [[1, 2, 3]]") == "the total, and [[1, 2, 3]]"
    assert (
        strip('Here:\n```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "a"},\n{"box": null, "label": "b"}]\n```')
        == "Here:\na\nb"
    )
    assert strip("<ref>a</ref>[[1, 2, 3, 4]], <pred>on</pred> it") == "a, on it"
    assert strip("[1, 2, 3, 4]") == strip("```\n[[1, 2, 3, 4]]\n```") == ""
    assert strip(TOTAL.replace("<ref>", "").replace("</ref>", "")) == "the total"


@pytest.mark.parametrize("kind", ["tiny", pytest.param("smollm2", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_an_engine_keeps_the_tags_however_they_are_written(kind: str) -> None:
    """As special tokens, as which the grammar knows them too."""
    engine = open_engine(built(kind), dtype="float32")  # type: ignore[arg-type]
    image = Image(PIL.Image.new("RGB", (50, 50), "red"), max_tiles=1)
    asked = Message.user(image, Text(QUESTION.format("the total"), grounding=True))
    [result] = engine.generate([Request(asked, Sampling(max_tokens=200), grammar=grammar("the total"))])
    assert result.finish_reason == "stop"
    assert re.fullmatch(r"<ref>the total</ref><box>\[\[\d+, \d+, \d+, \d+\]\]</box>", result.text)
    [box] = boxes(result.text)
    assert box.label == "the total"
    tags = [engine._encoder.special[tag] for tag in ("<ref>", "</ref>", "<box>", "</box>")]  # type: ignore[attr-defined]
    assert engine._decode(tags) == "<ref></ref><box></box>"  # type: ignore[attr-defined]
    streamed = "".join(
        event.text
        for event in engine.stream(Request(asked, Sampling(max_tokens=200), grammar=grammar("the total")))
        if hasattr(event, "text")
    )
    assert streamed == result.text


def test_the_grammar_writes_labels_and_boxes(engine: Engine) -> None:
    for seed in range(5):
        sampling = Sampling(max_tokens=2000, temperature=1.5, seed=seed)
        free = Request("Where?", sampling, grammar=grammar(most=3))
        odd = Request("Where?", sampling, grammar=grammar(r"50% (a/b) é\ [x]*-#&~ 総計", most=100))
        for result in engine.generate([free, odd]):
            found = boxes(result.text)
            assert result.finish_reason == "stop"
            assert len(found) == result.text.count("], [") + 1
            assert 1 <= len(found) <= 100
        assert found[0].label == r"50% (a/b) é\ [x]*-#&~ 総計"


@pytest.mark.parametrize(
    ("label", "most"), [("", 1), (" ", 1), ("a<b", 1), ("a\nb", 1), ("a", 0), ("a", 101), (None, -1)]
)
def test_what_no_grammar_writes(label: str | None, most: int) -> None:
    with pytest.raises(GrammarError, match=r"Give 1 to 100|Give one line of text"):
        grammar(label, most)


def test_an_exact_answer_is_said_in_its_own_tokens(engine: Engine) -> None:
    """Random weights would cut it into others; then the end of the turn, with its chance."""
    texts = ["invoice", "an invoice, of 12.50", "<|im_end|>", " ", "", "é\n総"]
    sampling = Sampling(max_tokens=60, logprobs=0)
    results = engine.generate([Request("What?", sampling, grammar=Exactly(text)) for text in texts])
    encoder = engine._encoder  # type: ignore[attr-defined]
    for text, result in zip(texts, results, strict=True):
        assert result.text == text
        assert result.finish_reason == "stop"
        tokens = result.samples[0].tokens
        assert list(tokens) == [*encoder.words(text), encoder.special["<|im_end|>"]]
        assert len(result.samples[0].logprobs) == len(tokens)
        assert all(-math.inf < token.logprob <= 0 for token in result.samples[0].logprobs)
    with pytest.raises(GrammarError, match="lone surrogate"):
        engine.generate([Request("Hi", grammar=Exactly("a\ud800"))])
    with pytest.raises(GrammarError, match="Leave the tools out"):
        engine.generate([Request("Hi", grammar=Exactly("a"), tools=[Tool("add", "", {})])])
    [cut] = engine.generate([Request("Hi", Sampling(max_tokens=1), grammar=Exactly("an invoice"))])
    assert cut.finish_reason == "length"
