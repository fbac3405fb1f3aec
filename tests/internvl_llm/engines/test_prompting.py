"""Prompts are counted before their images are drawn, and an image is drawn once for all that show it."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from internvl_llm.engines.prompting import Prompting
from internvl_llm.errors import ContextError
from internvl_llm.messages import Document, Image, Message
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.request import Request
from tests.kit import bombs, faults
from tests.kit.build import image_bytes
from tests.kit.faults import ordered
from tests.kit.pdfs import pdf
from tests.kit.pictures import gradient
from tests.kit.tokenizers import sentencepiece_like

PNG = image_bytes(gradient(900, 400), "PNG")


@pytest.fixture
def prompting() -> Prompting:
    return Prompting("tiny", Encoder(sentencepiece_like()), "hermes", 32_768)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_pools: None) -> Path:
    """What workers are asked for, a line each."""
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", faults.DRAWING)
    monkeypatch.setenv(faults.READ, str(tmp_path / "requests"))
    (tmp_path / "requests").touch()
    return tmp_path / "requests"


def test_a_prompt_too_long_is_refused_before_its_images_are_drawn(
    prompting: Prompting, requests: Path
) -> None:
    """30 PNGs of a few kB, 40 million pixels each."""
    prompt = prompting.tokenize(Request(Message.user(*[Image(bombs.png(8000, 5000))] * 30, "What?")))
    assert prompt.image_tokens == 30 * 7 * 256
    with pytest.raises(ContextError, match="53,760 of them of images"):
        prompting.room(prompt, 100)
    assert requests.read_text().split() == ["open"] * 30


def test_an_image_in_several_prompts_is_drawn_once(prompting: Prompting, requests: Path) -> None:
    request = Request(Message.user(Image(PNG), "What is this?"))
    prompts = [prompting.tokenize(request) for _ in range(3)]
    assert len({id(prompt.images[0].tiles) for prompt in prompts}) == 1
    assert requests.read_text().split() == ["open"] * 3 + ["draw"]
    other = prompting.tokenize(Request(Message.user(Image(PNG), "What is this?"), max_tiles=1))
    assert other.images[0].tiles.shape[0] == 1
    del prompts
    gc.collect()
    assert list(prompting._images) == [other.images[0].key]


def test_images_are_drawn_side_by_side(prompting: Prompting, requests: Path, tmp_path: Path) -> None:
    pages = [ordered(pdf(text), "draw", "meet", str(tmp_path / "place")) for text in ("one", "two")]
    prompts = [prompting.tokenize(Request(Message.user(Document(page), "What?"))) for page in pages]
    with ThreadPoolExecutor(2) as threads:
        tiles = list(threads.map(lambda prompt: prompt.images[0].tiles, prompts))
    assert tiles[0].shape == tiles[1].shape
    assert (tiles[0] != tiles[1]).any()
