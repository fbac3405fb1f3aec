"""LlamaIndex: a reader of files, and tools for agents. Needs the extra `llama-index`."""

from internvl_loaders.llama_index.reader import InternVLReader
from internvl_loaders.llama_index.tools import DocumentToolSpec

__all__ = ["DocumentToolSpec", "InternVLReader"]

for _public in (DocumentToolSpec, InternVLReader):
    _public.__module__ = __name__
