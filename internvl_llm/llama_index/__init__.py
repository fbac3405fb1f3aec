"""LlamaIndex: InternVL as a chat model. Needs the extra `llama-index`."""

from internvl_llm.llama_index.llm import InternVL

__all__ = ["InternVL"]

InternVL.__module__ = __name__
