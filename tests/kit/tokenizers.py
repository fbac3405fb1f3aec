"""A tokenizer as converted from SentencePiece, like InternLM's: its very merges spell special tokens."""

from __future__ import annotations

from typing import Any

from tests.kit.checkpoints import TEMPLATE

SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<|plugin|>")


def sentencepiece_like() -> Any:
    """BPE over characters with bytes to fall back on, `▁` for spaces, and a BOS before every prompt."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab: dict[str, int] = {"<unk>": 0}
    merges: list[tuple[str, str]] = []

    def known(token: str) -> None:
        vocab.setdefault(token, len(vocab))

    for token in SPECIAL:
        known(token)
    for byte in range(256):
        known(f"<0x{byte:02X}>")
    for character in [*map(chr, range(33, 127)), "▁"]:
        known(character)
    for word in (*SPECIAL, "▁hello", "user", "assistant"):
        for end in range(2, len(word) + 1):
            if (pair := (word[: end - 1], word[end - 1])) not in merges:
                known(word[:end])
                merges.append(pair)
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocab["<s>"])]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer
