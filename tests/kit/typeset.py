"""Sets text on pages of known layout. Characters are half a font size wide, spaces a quarter."""

from __future__ import annotations

from itertools import count

from internvl_loaders.content import Content, Span

_STORY = """
the river that runs below the old town carries timber from the northern woods and every spring its
water rises over the meadows so that people who live near the bridge move their cattle to higher
ground where they stay until summer has come and all the fields are dry again as before
"""
PROSE = _STORY.split()


class Setter:
    """A page being set; `ocr` gives every span a confidence, as OCR does."""

    def __init__(self, width: float = 600, height: float = 800, *, ocr: bool = False) -> None:
        self.content = Content(width, height)
        self._ocr = ocr
        self._lines = count()

    def line(self, text: str, x: float, y: float, size: float = 10, **style: object) -> float:
        """One line of words at its left edge and top; returns where it ends."""
        number = next(self._lines)
        for word in text.split():
            end = x + len(word) * size / 2
            confidence = 0.9 if self._ocr else None
            self.content.spans.append(
                Span(word, x, y, end, y + size, size=size, line=number, confidence=confidence, **style)
            )
            x = end + size / 4
        return x - size / 4

    def prose(
        self,
        words: list[str],
        x: float,
        y: float,
        width: float,
        size: float = 10,
        leading: float = 12,
        **style: object,
    ) -> float:
        """Words broken into lines of at most `width`; returns the top of the next line."""
        row: list[str] = []
        for word in words:
            trial = [*row, word]
            if row and sum(len(w) * size / 2 for w in trial) + (len(trial) - 1) * size / 4 > width:
                self.line(" ".join(row), x, y, size, **style)
                row, y = [word], y + leading
            else:
                row = trial
        self.line(" ".join(row), x, y, size, **style)
        return y + leading


def numbered(prefix: str, amount: int = 80) -> list[str]:
    """Prose whose words tell where they belong."""
    return [f"{prefix}{PROSE[n % len(PROSE)]}" for n in range(amount)]
