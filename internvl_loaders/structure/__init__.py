"""Content to blocks in reading order, one code for text layers and OCR."""

from internvl_loaders.structure.page import structure

__all__ = ["structure"]
