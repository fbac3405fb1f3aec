import json
import math

import pytest

from internvl_llm.checkpoints.convert import load
from internvl_llm.checkpoints.files import check, folder_format, special_tokens
from internvl_llm.errors import CheckpointError
from internvl_llm.hardware.devices import quantisation

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.kit.originals import END_TOKEN, IMAGE_TOKEN, TEXTS, native_model, write_original  # noqa: E402


def logits(model):
    tokens = torch.tensor([[5, 6, *[IMAGE_TOKEN] * 8, 9, 10, 11, 12]])
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return model(input_ids=tokens, pixel_values=pixels).logits


@pytest.mark.parametrize("vision", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("text", TEXTS)
def test_there_and_back_gives_the_same_logits(text, vision, tmp_path):
    model = native_model(text, vision)
    write_original(tmp_path, model, text, shards=2)
    assert check(tmp_path) == "original"
    back = load(tmp_path)
    assert type(back) is transformers.InternVLForConditionalGeneration
    assert back.dtype == torch.float32
    assert torch.equal(logits(back), logits(model))
    assert back.config.text_config.rope_parameters == model.config.text_config.rope_parameters
    if "rope_theta" in TEXTS[text]:
        assert back.config.text_config.rope_parameters["rope_theta"] == TEXTS[text]["rope_theta"]
        assert back.config.text_config.rope_parameters["rope_type"] == "dynamic"


def test_a_tied_head(tmp_path):
    model = native_model("qwen2", "layer_norm", tied=True)
    write_original(tmp_path, model, "qwen2")
    back = load(tmp_path)
    assert back.lm_head.weight is back.model.language_model.embed_tokens.weight
    assert torch.equal(logits(back), logits(model))


def test_a_head_in_the_files_counts_more_than_a_config_that_ties(tmp_path):
    model = native_model("qwen2", "layer_norm")
    write_original(tmp_path, model, "qwen2")
    change(tmp_path, tie_word_embeddings=True)
    assert torch.equal(logits(load(tmp_path)), logits(model))


@pytest.mark.parametrize("vision", ["layer_norm", "rms_norm"])
def test_image_features_are_those_of_the_original_computation(vision, tmp_path):
    """OpenGVLab's formulas on the original tensors: it is not only that the way back undoes the way there."""
    model = native_model("qwen2", vision)
    tensors = write_original(tmp_path, model, "qwen2")
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        ours = load(tmp_path).get_image_features(pixel_values=pixels).pooler_output
        expected = original_features(tensors, pixels, vision)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def original_features(tensors, pixels, vision):
    functional = torch.nn.functional

    def linear(x, name):
        return functional.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))

    def norm(x, name):
        weight = tensors[f"{name}.weight"]
        if vision == "rms_norm" and not name.startswith("mlp1"):
            return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        eps = 1e-5 if name.startswith("mlp1") else 1e-4
        return functional.layer_norm(x, weight.shape, weight, tensors[f"{name}.bias"], eps)

    patch = "vision_model.embeddings.patch_embedding"
    x = functional.conv2d(pixels, tensors[f"{patch}.weight"], tensors[f"{patch}.bias"], stride=14)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([tensors["vision_model.embeddings.class_embedding"].expand(len(x), -1, -1), x], 1)
    x = x + tensors["vision_model.embeddings.position_embedding"]
    batch, length, width = x.shape
    for layer in range(2):
        base = f"vision_model.encoder.layers.{layer}"
        qkv = linear(norm(x, f"{base}.norm1"), f"{base}.attn.qkv").reshape(batch, length, 3, width)
        q, k, v = qkv.unbind(2)
        if vision == "rms_norm":
            q, k = norm(q, f"{base}.attn.q_norm"), norm(k, f"{base}.attn.k_norm")
        q, k, v = (one.reshape(batch, length, 4, width // 4).transpose(1, 2) for one in (q, k, v))
        attention = ((q / math.sqrt(width // 4)) @ k.transpose(-2, -1)).softmax(-1) @ v
        attention = attention.transpose(1, 2).reshape(batch, length, width)
        x = x + linear(attention, f"{base}.attn.proj") * tensors[f"{base}.ls1"]
        inner = functional.gelu(linear(norm(x, f"{base}.norm2"), f"{base}.mlp.fc1"))
        x = x + linear(inner, f"{base}.mlp.fc2") * tensors[f"{base}.ls2"]
    # Pixel shuffle v2: each token holds a 2x2 block of patches.
    x = x[:, 1:].reshape(batch, 4, 4, width)
    x = x.view(batch, 4, 2, width * 2).permute(0, 2, 1, 3).contiguous()
    x = x.view(batch, 2, 2, width * 4).permute(0, 2, 1, 3).reshape(batch, 4, width * 4)
    return linear(functional.gelu(linear(norm(x, "mlp1.0"), "mlp1.1")), "mlp1.3")


def test_options_of_from_pretrained_apply(tmp_path):
    model = native_model("internlm2", "rms_norm")
    write_original(tmp_path, model, "internlm2")
    back = load(tmp_path, dtype=torch.bfloat16, device_map={"": "cpu"}, attn_implementation="eager")
    assert {parameter.dtype for parameter in back.parameters()} == {torch.bfloat16}
    assert back.config.text_config._attn_implementation == "eager"


@pytest.mark.parametrize("precision", ["int4", pytest.param("int8", marks=pytest.mark.slow)])
def test_it_can_be_quantised(precision, tmp_path):
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    model = native_model("internlm2", "layer_norm")
    write_original(tmp_path, model, "internlm2")
    config = quantisation(precision, "float32")
    back = load(tmp_path, quantization_config=config, device_map={"": "cpu"})
    kinds = {type(module).__name__ for module in back.model.language_model.layers.modules()}
    assert {"int8": "Linear8bitLt", "int4": "Linear4bit"}[precision] in kinds and "Linear" not in kinds
    if (
        precision == "int8"
    ):  # bitsandbytes' int4 kernel for CPUs wants multiples of 64, which a tiny model has not
        assert 0 < (logits(back) - logits(model)).abs().max() < 1


def test_token_ids_come_from_the_tokenizer_files(tmp_path):
    write_original(tmp_path, native_model("qwen2", "layer_norm"), "qwen2")
    back = load(tmp_path)
    assert back.config.image_token_id == IMAGE_TOKEN
    assert back.generation_config.eos_token_id == END_TOKEN
    (tmp_path / "added_tokens.json").unlink()
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [{"id": 3, "content": "<IMG_CONTEXT>"}]})
    )
    assert special_tokens(tmp_path) == {"<IMG_CONTEXT>": 3}
    (tmp_path / "tokenizer.json").unlink()
    decoder = {"added_tokens_decoder": {"4": {"content": "<IMG_CONTEXT>"}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(decoder))
    assert special_tokens(tmp_path) == {"<IMG_CONTEXT>": 4}


def test_a_native_folder_is_told_from_an_original_one(tmp_path):
    native_model("qwen2", "layer_norm").save_pretrained(tmp_path)
    assert check(tmp_path) == "native"


def test_a_critic_is_an_original_model_by_another_name(tmp_path):
    model = native_model("internlm2", "layer_norm")
    write_original(tmp_path, model, "internlm2")
    change(tmp_path, architectures=["InternVLRewardModel"])
    assert check(tmp_path) == "original"
    torch.testing.assert_close(logits(load(tmp_path)), logits(model))


@pytest.fixture
def original(tmp_path):
    write_original(tmp_path, native_model("qwen2", "layer_norm"), "qwen2", shards=2)
    return tmp_path


def change(folder, part=None, **changes):
    config = json.loads((folder / "config.json").read_text())
    (config[part] if part else config).update(changes)
    (folder / "config.json").write_text(json.dumps(config))


def refused(folder, *texts):
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.remedy and caught.value.source.startswith(str(folder))
    for text in texts:
        assert text in str(caught.value)


def test_a_folder_without_config(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        folder_format(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '"x"', "[" * 100_000, b"\xff\xfe\x00"])
def test_a_broken_config(original, content):
    content = content if isinstance(content, bytes) else content.encode()
    (original / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        check(original)


def test_another_architecture(original):
    change(original, architectures=["LlavaForConditionalGeneration"], model_type="llava")
    with pytest.raises(CheckpointError, match="'LlavaForConditionalGeneration', another architecture"):
        check(original)


def test_another_language_model(original):
    change(original, "llm_config", architectures=["Phi3ForCausalLM"])
    refused(original, "'Phi3ForCausalLM' is unknown", "Qwen2ForCausalLM")


def test_another_pixel_shuffle(original):
    change(original, ps_version="v1")
    refused(original, "shuffles pixels")


def test_no_part_of_the_config(original):
    change(original, llm_config=None)
    refused(original, "llm_config of config.json is missing")


def test_a_config_that_makes_no_model(original):
    change(original, "llm_config", hidden_size="much")
    refused(original, "makes no model")


def test_a_config_that_does_not_match_the_weights(original):
    change(original, "llm_config", intermediate_size=64)
    refused(original, "mismatched tensors", "mlp")


def test_a_config_with_more_layers_than_the_weights(original):
    change(original, "llm_config", num_hidden_layers=3)
    refused(original, "missing tensors", "layers.2")


def test_a_config_with_fewer_layers_than_the_weights(original):
    change(original, "llm_config", num_hidden_layers=1)
    refused(original, "unexpected tensors", "layers.1")


def test_no_image_token(original):
    (original / "added_tokens.json").unlink()
    refused(original, "<IMG_CONTEXT>")


def test_a_missing_shard(original):
    (original / "model-00002-of-00002.safetensors").unlink()
    refused(original, "model-00002-of-00002.safetensors: the file is missing")


def test_a_shard_cut_short(original):
    file = original / "model-00001-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="corrupt or cut short"):
        check(original)
    refused(original, "corrupt or cut short")


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0notajson"])
def test_a_corrupt_shard(original, content):
    (original / "model-00001-of-00002.safetensors").write_bytes(content)
    refused(original, "corrupt or cut short")


def test_a_tensor_that_the_index_names_and_no_file_has(original):
    index = json.loads((original / "model.safetensors.index.json").read_text())
    index["weight_map"]["vision_model.nothing"] = "model-00001-of-00002.safetensors"
    (original / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(original, "1 tensors are in no file, vision_model.nothing")


def test_an_index_cannot_leave_the_folder(original):
    outside = original.parent / "outside.safetensors"
    (original / "model-00001-of-00002.safetensors").rename(outside)
    text = (original / "model.safetensors.index.json").read_text()
    text = text.replace("model-00001-of-00002.safetensors", "../outside.safetensors")
    (original / "model.safetensors.index.json").write_text(text)
    refused(original, "outside.safetensors: the file is missing")


def test_pickled_weights_are_not_read(original):
    for file in original.glob("model*"):
        if not file.name.endswith(".py"):
            file.unlink()
    refused(original, "no safetensors files")
    (original / "pytorch_model.bin").write_bytes(b"\x80\x04")
    refused(original, "pickled")


def test_saved_rotary_frequencies_are_left_to_the_native_class(original):
    from safetensors.torch import save_file

    (original / "model.safetensors.index.json").unlink()
    name = "language_model.model.layers.0.self_attn.rotary_emb.inv_freq"
    save_file({name: torch.zeros(4)}, original / "more.safetensors")
    assert load(original)


def test_an_unknown_tensor(original):
    from safetensors.torch import save_file

    (original / "model.safetensors.index.json").unlink()
    save_file({"language_model.base_model.model.lora_A": torch.zeros(1)}, original / "more.safetensors")
    refused(original, "'language_model.base_model.model.lora_A'", "Merge adapters")


@pytest.mark.parametrize("junk", ["much", -1, [], 0.5], ids=repr)
def test_junk_in_the_config_is_a_typed_error_or_harmless(original, junk):
    written, refusals = (original / "config.json").read_text(), 0
    for part, key in [
        *(
            (None, key)
            for key in (
                "architectures",
                "downsample_ratio",
                "force_image_size",
                "select_layer",
                "torch_dtype",
            )
        ),
        *(
            ("llm_config", key)
            for key in ("hidden_size", "num_attention_heads", "num_key_value_heads", "rope_scaling")
        ),
        *(("vision_config", key) for key in ("image_size", "patch_size", "num_attention_heads", "norm_type")),
    ]:
        change(original, part, **{key: junk})
        try:
            if check(original) == "original":
                load(original)
        except CheckpointError:
            refusals += 1
        (original / "config.json").write_text(written)
    assert refusals > 3


@pytest.mark.parametrize(
    "junk", [[], "x", {"a": 1}, {"added_tokens": [1]}, {"added_tokens": {"a": None}}], ids=repr
)
def test_junk_in_the_tokenizer_files_is_a_typed_error(original, junk):
    (original / "added_tokens.json").unlink()
    (original / "tokenizer.json").write_text(json.dumps(junk))
    refused(original)
