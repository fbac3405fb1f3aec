"""LangChain: InternVL as a decision model. Needs langchain-core 1.8 or newer."""

from internvl_llm.langchain.decisions.model import InternVLDecisions

__all__ = ["InternVLDecisions"]

InternVLDecisions.__module__ = __name__
