"""Pages whose text runs sideways or upside down though the file calls them upright."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from internvl_loaders.content import Content, Rect, Ruling, Span

_MOST = 0.8
_FEWEST = 4
"""Pairs of neighbouring words that must tell the direction."""


def upright(content: Content) -> tuple[Content, int]:
    """The page as its text wants to be read, and the clockwise turn in degrees that was undone.

    A landscape table set sideways on a portrait page comes back as a landscape page; 90 means its
    text ran downward, 270 upward, 180 upside down. Everything else comes back as it is, with 0.
    """
    turn = _turn([s for s in content.spans if not s.hidden])
    if not turn:
        return content, 0
    width, height = content.width, content.height

    def turned(box: Rect) -> Rect:
        x0, y0, x1, y1 = box
        if turn == 90:
            return Rect(y0, width - x1, y1, width - x0)
        if turn == 270:
            return Rect(height - y1, x0, height - y0, x1)
        return Rect(width - x1, height - y1, width - x0, height - y0)

    spans = []
    for span in content.spans:
        x0, y0, x1, y1 = turned(span.rect)
        across = span.upright if turn == 180 else not span.upright
        spans.append(replace(span, x0=x0, y0=y0, x1=x1, y1=y1, upright=across))
    return replace(
        content,
        width=width if turn == 180 else height,
        height=height if turn == 180 else width,
        spans=spans,
        rulings=[Ruling(*turned(Rect(*ruling))) for ruling in content.rulings],
        figures=[turned(figure) for figure in content.figures],
        fields=[field._replace(rect=turned(field.rect)) for field in content.fields],
        shapes=[turned(shape) for shape in content.shapes],
        links=[link._replace(rect=turned(link.rect)) for link in content.links],
        fills=[turned(fill) for fill in content.fills],
    ), turn


def _turn(spans: list[Span]) -> int:
    """By where each word lies from the word before it; scripts that run leftward tell nothing."""
    votes: Counter[int] = Counter()
    for a, b in pairwise(spans):
        if a.line != b.line or a.line < 0 or a.upright != b.upright or not _rightward(a.text + b.text):
            continue
        if a.upright:
            votes[0 if b.x0 > a.x0 else 180] += len(a.text)
        else:
            votes[90 if b.y0 > a.y0 else 270] += len(a.text)
        votes[-1] += 1
    pairs = votes.pop(-1, 0)
    if pairs < _FEWEST:
        return 0
    turn, weight = votes.most_common(1)[0]
    return turn if weight >= _MOST * votes.total() else 0


def _rightward(text: str) -> bool:
    return not any("\u0590" <= c <= "\u08ff" or "\ufb1d" <= c <= "\ufeff" for c in text)
