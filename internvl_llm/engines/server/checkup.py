"""What a server does, tried: each thing with what it means for whoever uses it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from internvl_llm.engines.server.flavours import OLLAMA
from internvl_llm.errors import InternVLError
from internvl_llm.events import Finish, TextDelta
from internvl_llm.grammar import JsonSchema
from internvl_llm.messages import Image, Message
from internvl_llm.prompt.tiling import TOKENS_PER_TILE, tile_count
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool

if TYPE_CHECKING:
    import PIL.Image

    from internvl_llm.engines.server.engine import ServerEngine

Found: TypeAlias = tuple[str, bool, str]
"""What it is, whether it works, and a sentence."""

A4 = (1240, 1754)
"""Pixels, at 150 dpi."""
_AROUND = 3
"""Tokens around an image: its two tags, and the end of the line."""
_PAGE = 8192
"""Tokens of a page of 13 tiles, and of an answer of 4,096."""
_SHORT = Sampling(max_tokens=16)


def checkup(engine: ServerEngine) -> Iterator[Found]:
    """Some ten short answers. What fails says why; nothing is raised."""
    for what, sentence in engine.capabilities.details:
        yield what, True, sentence
    if len(engine.served.names) > 1:
        yield "serves", True, ", ".join(engine.served.names[:20])
    tries: list[tuple[str, Callable[[ServerEngine], Found]]] = [
        ("answers", _answers),
        ("context", _context),
        ("images", _images),
        ("A4 page", _page),
        ("several images", _several),
        ("schemas", _schemas),
        ("tool calls", _calls),
        ("log probabilities", _logprobs),
        ("boxes", _boxes),
    ]
    for what, trying in tries:
        try:
            yield trying(engine)
        except InternVLError as error:
            yield what, False, error.explanation


def _answers(engine: ServerEngine) -> Found:
    started = time.perf_counter()
    first, usage, deltas = 0.0, None, 0
    for event in engine.stream(Request("Say hello.", _SHORT)):
        if isinstance(event, TextDelta):
            deltas += 1
            first = first or time.perf_counter() - started
        elif isinstance(event, Finish):
            usage = event.usage
    told = f"the first words after {first:.2f} s, {deltas} pieces"
    if usage is None or not usage.prompt_tokens:
        return "answers", True, f"{told}; it does not tell how many tokens there are"
    return "answers", True, f"{told}, {usage.prompt_tokens} tokens read and {usage.completion_tokens} written"


def _context(engine: ServerEngine) -> Found:
    """What a page and its answer need."""
    tokens = engine.capabilities.context_tokens
    if engine.served.flavour is OLLAMA:
        told = "what is longer is cut off without a word: OLLAMA_CONTEXT_LENGTH of 8,192 holds a page"
        return "long prompts", tokens >= _PAGE, told
    if tokens < _PAGE:
        return "long prompts", False, f"a page of 13 tiles and its answer may need {_PAGE:,} tokens"
    return "long prompts", True, "a page and its answer fit"


def _images(engine: ServerEngine) -> Found:
    seen = engine.look()
    if seen.max_tiles is None:
        engine.generate([Request(Message.user(Image(_paper((64, 64))), "?"), _SHORT)])
        return "images", True, "cut in a way of its own: min_tiles and max_tiles of 2 and more do not hold"
    tiles = f"{seen.max_tiles} tiles at most, {seen.tokens_per_tile} tokens each"
    more = "; for small print serve with 24 (max_dynamic_patch, max_patches)" if seen.max_tiles < 24 else ""
    return "images", True, f"cut as InternVL's own code does: {tiles}{more}"


def _page(engine: ServerEngine) -> Found:
    """The tokens of a known image, as the server counts and as we do."""
    seen = engine.look()
    ours_too = seen.max_tiles is not None
    page = Request(Message.user(Image(_paper(A4)), "?"), _SHORT, page=ours_too, max_tiles=24)
    theirs = engine.count_tokens(page).prompt_tokens
    theirs -= engine.count_tokens(Request("?")).prompt_tokens
    if seen.max_tiles is None:
        ours = tile_count(*A4) * TOKENS_PER_TILE + _AROUND
    else:
        ours = tile_count(*A4, 1, min(24, seen.max_tiles), page=True) * seen.tokens_per_tile + _AROUND
    if abs(theirs - ours) <= _AROUND:
        return "A4 page", True, f"{theirs:,} tokens, as many as ours: it sees the same tiles"
    told = f"{theirs:,} tokens where InternVL's own code has {ours:,}: it cuts pages into other tiles"
    return "A4 page", False, f"{told}, so answers and counts differ from other engines'"


def _several(engine: ServerEngine) -> Found:
    images = [Image(_paper((64, 64), shade), max_tiles=1) for shade in ("white", "black")]
    engine.generate([Request(Message.user(*images, "Which is darker?"), _SHORT)])
    return "several images", True, "in one message"


def _schemas(engine: ServerEngine) -> Found:
    schema = {"type": "object", "properties": {"code": {"const": 7351}}, "required": ["code"]}
    [result] = engine.generate([Request("Say hello.", Sampling(max_tokens=64), grammar=JsonSchema(schema))])
    kept = "".join(result.text.split()) == '{"code":7351}'
    flavour = engine.served.flavour
    more = [name for name, has in (("Regex", flavour.regex), ("Choice", flavour.choice)) if has]
    if kept:
        return "schemas", True, f"answers keep to them{', to ' + ' and '.join(more) if more else ''}"
    return "schemas", False, "answers do not keep to them: ask for free text, or use another server"


def _calls(engine: ServerEngine) -> Found:
    parameters = {"type": "object", "properties": {"city": {"enum": ["Bern"]}}, "required": ["city"]}
    tool = Tool("weather", "The weather of a city.", parameters)
    request = Request("Weather in Bern?", Sampling(max_tokens=128), tools=[tool], tool_choice="weather")
    [result] = engine.generate([request])
    if not result.tool_calls:
        return "tool calls", False, "a call that was asked for did not come"
    if engine.spec.native_tools:
        return "tool calls", True, "by the server's own template and parser"
    if engine.served.flavour.structural_tags:
        return "tool calls", True, "written into the prompt, held to their schemas whatever tool_choice"
    how = "written into the prompt, held to their schemas where tool_choice asks for a call"
    return "tool calls", True, how


def _logprobs(engine: ServerEngine) -> Found:
    engine.generate([Request("Say hello.", Sampling(max_tokens=2, logprobs=1))])
    return "log probabilities", True, "with each token"


def _boxes(engine: ServerEngine) -> Found:
    if engine.served.flavour.special_tokens:
        return "boxes", True, "the tags of boxes are kept"
    return "boxes", True, "it drops the tags of boxes: bare [[x1, y1, x2, y2]] are read"


def _paper(size: tuple[int, int], colour: str = "white") -> PIL.Image.Image:
    from PIL import Image as pil

    return pil.new("RGB", size, colour)
