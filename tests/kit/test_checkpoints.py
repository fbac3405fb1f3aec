"""The checkpoints that other tests run on are what they claim to be, through transformers alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from internvl_llm.messages import Image, Message
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM, encode, render
from internvl_llm.prompt.tiling import normalise, tile
from tests.kit import checkpoints
from tests.kit.checkpoints import SMOLLM2_SYSTEM, Kind, built
from tests.kit.pictures import gradient

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module", params=["tiny", pytest.param("smollm2", marks=pytest.mark.slow)])
def checkpoint(request: pytest.FixtureRequest) -> tuple[Path, Any, Any]:
    folder = built(request.param)
    model = transformers.InternVLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return folder, transformers.AutoTokenizer.from_pretrained(folder), model


def answer(
    tokenizer: Any, model: Any, messages: Any, system: str | None, most: int, tiles: Any = None
) -> tuple[str, list[int]]:
    encoded = encode(render(messages, system=system), tokenizer, [] if tiles is None else [len(tiles)])
    ids = torch.tensor([encoded.ids])
    images = {} if tiles is None else {"pixel_values": torch.from_numpy(normalise(tiles))}
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, do_sample=False, **images
        )
    new = out[0, ids.shape[1] :].tolist()
    return tokenizer.decode(new, skip_special_tokens=True), new


def test_every_part_is_there(checkpoint: tuple[Path, Any, Any]) -> None:
    folder, tokenizer, model = checkpoint
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["InternVLForConditionalGeneration"]
    assert config["image_seq_length"] == 256
    assert config["image_token_id"] == tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    assert tokenizer.start_image_token == "<img>" and tokenizer.chat_template == checkpoints.TEMPLATE
    assert transformers.GenerationConfig.from_pretrained(
        folder
    ).eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert json.loads((folder / "preprocessor_config.json").read_text())["size"]["height"] == 448
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert tied == config["tie_word_embeddings"]


def test_sizes() -> None:
    tiny = transformers.InternVLForConditionalGeneration.from_pretrained(built("tiny"))
    assert sum(weight.numel() for weight in tiny.parameters()) < 1_000_000
    assert tiny.config.text_config.model_type == "qwen2"


def test_an_image_is_seen(checkpoint: tuple[Path, Any, Any]) -> None:
    folder, tokenizer, model = checkpoint
    tiny = folder == built("tiny")
    one, other = (
        tile(image, 1, 6 if tiny else 1) for image in (gradient(900, 600), gradient(900, 600).rotate(180))
    )
    assert len(one) == (7 if tiny else 1)
    prompt = render(Message.user(Image(b"not looked at"), "What?"))
    ids = torch.tensor([encode(prompt, tokenizer, [len(one)]).ids])
    with torch.inference_mode():
        first, second = (
            model(input_ids=ids, pixel_values=torch.from_numpy(normalise(tiles)), logits_to_keep=1).logits[
                0, -1
            ]
            for tiles in (one, other)
        )
    assert torch.isfinite(first).all()
    assert (first - second).abs().max() > (0.1 if tiny else 1e-3)


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any]:
    model = transformers.InternVLForConditionalGeneration.from_pretrained(
        built("smollm2"), dtype=torch.float32
    )
    return transformers.AutoTokenizer.from_pretrained(built("smollm2")), model


@pytest.mark.slow
@pytest.mark.parametrize("system", [SMOLLM2_SYSTEM, None, DEFAULT_SYSTEM])
def test_smollm2_can_talk(smollm2: tuple[Any, Any], system: str | None) -> None:
    text, new = answer(*smollm2, "What is the capital of France?", system, 24)
    assert text.startswith("The capital of France is Paris.")
    if system != DEFAULT_SYSTEM:  # after which, Chinese as it is, it goes on
        assert text == "The capital of France is Paris."
        assert new[-1] == smollm2[0].convert_tokens_to_ids("<|im_end|>")


@pytest.mark.slow
def test_the_system_message_of_smollm2_matters(smollm2: tuple[Any, Any]) -> None:
    assert answer(*smollm2, "Hi", SMOLLM2_SYSTEM, 12)[0] == "Hello! How can I assist you today?"
    assert "assist" not in answer(*smollm2, "Hi", None, 12)[0]


@pytest.mark.slow
def test_smollm2_remembers(smollm2: tuple[Any, Any]) -> None:
    messages = [
        Message.user("What is the capital of France?"),
        Message.assistant("The capital of France is Paris."),
        Message.user("And of Italy?"),
    ]
    assert "Rome" in answer(*smollm2, messages, SMOLLM2_SYSTEM, 16)[0]


@pytest.mark.slow
def test_the_weights_of_smollm2_are_those_of_the_file(tmp_path: Path) -> None:
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(checkpoints._smollm2_file(tmp_path))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    model = transformers.InternVLForConditionalGeneration.from_pretrained(built("smollm2"))
    layer = model.model.language_model.layers[7]
    for name, weight in (
        ("ffn_up", layer.mlp.up_proj.weight),
        ("attn_v", layer.self_attn.v_proj.weight),
        ("attn_norm", layer.input_layernorm.weight),
    ):
        tensor = tensors[f"blk.7.{name}.weight"]
        expected = torch.tensor(dequantize(tensor.data, tensor.tensor_type)).to(torch.bfloat16)
        assert torch.equal(weight.data, expected)


@pytest.mark.slow
def test_built_once_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes at once make one folder, which a later call only looks up."""
    code = "from tests.kit.checkpoints import built; print(built('tiny'))"
    monkeypatch.setenv("INTERNVL_TEST_CHECKPOINTS", str(tmp_path))
    (tmp_path / "tiny-0").mkdir()
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    folders = {run.communicate()[0].strip() for run in runs}
    assert folders == {str(built("tiny"))}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [built("tiny").name]

    def fails(folder: Path) -> None:
        folder.mkdir()
        raise RuntimeError("no space left")

    monkeypatch.setitem(checkpoints._BUILDERS, "half", fails)
    half: Kind = "half"  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="no space left"):
        built(half)
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and "half" in path.name]
