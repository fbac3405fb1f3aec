"""The servers there are, and what each of them honours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Flavour:
    """A kind of server, as its documentation and source have it. What it cannot do is refused before anything
    is sent."""

    name: str
    owner: str = ""
    """By which it names itself in /v1/models (`owned_by`)."""
    schema: bool = True
    """JSON schemas: `response_format`."""
    regex: Literal["", "structured_outputs", "regex", "regex_schema"] = ""
    """The field that takes a regular expression."""
    choice: Literal["", "structured_outputs", "regex", "grammar"] = ""
    """Of answers: by that field, as a regular expression, or as a GBNF grammar."""
    structural_tags: bool = False
    """xgrammar's: calls are held to their schemas also where the model may say something else."""
    samples: bool = False
    """Several answers to one request (`n`)."""
    top_k: str = ""
    """Name of the field; of all tokens, `all_tokens` is its value."""
    all_tokens: int = 0
    repetition_penalty: str = ""
    min_p: bool = False
    """Whether it has one by default, which is switched off."""
    stop: bool = True
    """Stop strings of any length; else they are looked for here."""
    special_tokens: bool = False
    """Keeps them in its text where asked to (`skip_special_tokens`): grounding tags are some."""
    tiles: Literal["measured", "own"] = "measured"
    """Whether it cuts images into the grids of InternVL's own code, or into others."""
    tokenize: bool = False
    """Counts the tokens of a conversation, its images too, without answering (/tokenize)."""
    lists_ours: bool = True
    """Whether what /v1/models lists is loaded, and not all there is on its disk."""

    @property
    def known(self) -> bool:
        return self is not UNKNOWN


VLLM = Flavour(
    "vLLM",
    "vllm",
    regex="structured_outputs",
    choice="structured_outputs",
    structural_tags=True,
    samples=True,
    top_k="top_k",
    repetition_penalty="repetition_penalty",
    min_p=True,
    special_tokens=True,
    tokenize=True,
)
SGLANG = Flavour(
    "SGLang",
    "sglang",
    regex="regex",
    choice="regex",
    structural_tags=True,
    samples=True,
    top_k="top_k",
    all_tokens=-1,
    repetition_penalty="repetition_penalty",
    min_p=True,
    special_tokens=True,
)
LMDEPLOY = Flavour(
    "LMDeploy",
    "lmdeploy",
    regex="regex_schema",
    choice="regex",
    samples=True,
    top_k="top_k",
    repetition_penalty="repetition_penalty",
    min_p=True,
    stop=False,
    special_tokens=True,
)
LLAMA = Flavour(
    "llama-server",
    "llamacpp",
    choice="grammar",
    top_k="top_k",
    repetition_penalty="repeat_penalty",
    min_p=True,
    tiles="own",
)
OLLAMA = Flavour("Ollama", "library", tiles="own", lists_ours=False)
UNKNOWN = Flavour("an OpenAI-compatible server", stop=False)
"""What OpenAI documents is sent to it; whether it keeps to a schema and sees images is tried."""

FLAVOURS: Mapping[str, Flavour] = {one.owner: one for one in (VLLM, SGLANG, LMDEPLOY, LLAMA, OLLAMA)}
