"""Image files as documents: nothing is on a page but its picture."""

from __future__ import annotations

from internvl_llm.media import image as media
from internvl_loaders.content import Content, Rect
from internvl_loaders.readers.comments import Comment


class ImageReader(media.ImageReader):
    def comments(self, index: int) -> list[Comment]:
        return []

    def attached(self) -> list[str]:
        return []

    def attached_file(self, index: int) -> bytes:
        raise IndexError(index)

    def xfa(self) -> bytes | None:
        return None

    def content(self, index: int) -> Content:
        width, height = self.size(index)
        return Content(width, height, figures=[Rect(0, 0, width, height)])
