from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from internvl_llm.engines.detokenize import Detokenizer


def decode(tokens: Sequence[int]) -> str:
    """A tokenizer of bytes, as byte-level BPE is at its worst."""
    return bytes(tokens).decode(errors="replace")


def said(data: bytes, stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    text = Detokenizer(decode, stop)
    pieces = []
    for byte in data:
        pieces.append(text.push(byte))
        if text.stopped:
            return pieces, True
    return [*pieces, text.finish()], text.stopped


@given(st.text())
def test_nothing_is_lost(text: str) -> None:
    pieces, stopped = said(text.encode(errors="replace"))
    assert "".join(pieces) == text.encode(errors="replace").decode()
    assert not stopped


@given(st.binary())
def test_not_even_half_characters(data: bytes) -> None:
    pieces, _ = said(data)
    assert "".join(pieces).replace("\ufffd", "") == data.decode(errors="replace").replace("\ufffd", "")


def test_characters_come_whole() -> None:
    pieces, _ = said("aé漢😀b".encode())
    assert [piece for piece in pieces if piece] == ["a", "é", "漢", "😀", "b"]


@given(st.text("abc", max_size=40), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_it_ends_before_the_first_stop_string(text: str, stop: list[str]) -> None:
    pieces, stopped = said(text.encode(), tuple(stop))
    found = "".join(pieces)
    assert stopped == any(s in text for s in stop)
    assert not any(s in found for s in stop)
    assert text.startswith(found)
    if stopped:
        ends = [text.find(s) + len(s) for s in stop if s in text]
        reached = text[: min(ends)]  # a stop string ends generation as soon as it is complete
        assert found == reached[: min(reached.find(s) for s in stop if s in reached)]
    else:
        assert found == text


def test_what_may_become_a_stop_string_is_held_back() -> None:
    pieces, _ = said(b"x</too", ("</tool>",))
    assert pieces == ["x", "", "", "", "", "", "</too"]
