"""LangChain: a document loader, a blob parser, and tools for agents. Needs the extra `langchain`."""

from internvl_loaders.langchain.loader import InternVLBlobParser, InternVLLoader
from internvl_loaders.langchain.tools import document_tools

__all__ = ["InternVLBlobParser", "InternVLLoader", "document_tools"]

for _public in (InternVLBlobParser, InternVLLoader, document_tools):
    _public.__module__ = __name__
