"""LangChain: InternVL as a chat model. Needs the extra `langchain`."""

from internvl_llm.langchain.chat import ChatInternVL

__all__ = ["ChatInternVL"]

ChatInternVL.__module__ = __name__
