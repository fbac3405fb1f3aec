import sys
from types import ModuleType

import pytest

from internvl_llm.errors import EngineError, MissingDependencyError, OptionError
from internvl_llm.hardware.devices import (
    SKIPPED,
    Choice,
    Gpu,
    attention_argument,
    choose_attention,
    choose_device,
    choose_dtype,
    gpus,
    quantisation,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

GB = 1_000_000_000
T4 = Gpu(0, "Tesla T4", 16 * GB, 15 * GB, (7, 5))
H200 = Gpu(1, "NVIDIA H200", 141 * GB, 140 * GB, (9, 0))


def test_the_gpus_are_those_that_torch_sees():
    assert len(gpus()) == torch.cuda.device_count()


def test_a_gpu_is_used_when_there_is_one():
    assert choose_device(found=[H200]) == Choice("cuda", "1 x NVIDIA H200")
    assert choose_device("cpu", [H200]) == Choice("cpu", "asked for")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_without_a_gpu_the_cpu_is_used_and_said():
    assert choose_device(found=[]) == Choice("cpu", "no GPU is visible to torch")
    with pytest.raises(EngineError, match="'cuda' was asked for"):
        choose_device("cuda", [])


def test_an_unknown_device_is_refused():
    with pytest.raises(OptionError, match="'tpu'"):
        choose_device("tpu", [])


@pytest.mark.parametrize(
    ("device", "found", "requested", "value"),
    [
        ("cuda", [H200], "auto", "bfloat16"),
        ("cuda", [T4, H200], "auto", "float16"),
        ("cpu", [], "auto", "float32"),
        ("mps", [], "auto", "float16"),
        ("cuda", [T4], "float32", "float32"),
    ],
)
def test_dtypes(device, found, requested, value):
    choice = choose_dtype(device, found, requested)
    assert choice.value == value and choice.reason
    assert isinstance(getattr(torch, choice.value), torch.dtype)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(OptionError, match="'fp8'"):
        choose_dtype("cuda", [H200], "fp8")


@pytest.fixture
def flash(monkeypatch):
    """flash-attn as installed and loading."""
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: True)
    monkeypatch.setitem(sys.modules, "flash_attn", ModuleType("flash_attn"))


@pytest.mark.usefixtures("flash")
def test_flash_attention_where_it_is_usable():
    assert choose_attention("cuda", [H200]).value == "flash_attention_2"
    assert choose_attention("cuda", [H200], requested="sdpa") == Choice("sdpa", "asked for")


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize(
    ("device", "found", "dtype", "reason"),
    [
        ("cpu", [], "bfloat16", "needs an NVIDIA GPU"),
        ("cuda", [H200], "float32", "float32"),
        ("cuda", [T4], "float16", "GPU 0 is a Tesla T4"),
    ],
)
def test_sdpa_where_flash_attention_is_not_usable(device, found, dtype, reason):
    choice = choose_attention(device, found, dtype)
    assert choice.value == "sdpa" and reason in choice.reason
    with pytest.raises(EngineError, match=reason):
        choose_attention(device, found, dtype, requested="flash_attention_2")


def test_sdpa_where_flash_attention_is_not_installed(monkeypatch):
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: False)
    assert "not installed" in choose_attention("cuda", [H200]).reason


def test_sdpa_where_flash_attention_does_not_load(monkeypatch):
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: True)
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    choice = choose_attention("cuda", [H200])
    assert choice.value == "sdpa" and "does not load" in choice.reason


def test_an_unknown_attention_is_refused():
    with pytest.raises(OptionError, match="'fast'"):
        choose_attention("cuda", [H200], requested="fast")


def test_gpt_oss_attends_eagerly():
    assert attention_argument(Choice("sdpa", ""), "qwen3") == "sdpa"
    assert attention_argument(Choice("sdpa", ""), "gpt_oss") == {
        "vision_config": "sdpa",
        "text_config": "eager",
    }


def test_bf16_is_not_quantised():
    assert quantisation("bf16", "bfloat16") is None


def test_without_bitsandbytes_the_error_names_it(monkeypatch):
    monkeypatch.setattr("transformers.utils.is_bitsandbytes_available", lambda: False)
    with pytest.raises(MissingDependencyError, match="int8 needs bitsandbytes"):
        quantisation("int8", "bfloat16")


@pytest.mark.parametrize(("precision", "linear"), [("int8", "Linear8bitLt"), ("int4", "Linear4bit")])
def test_a_quantised_model_keeps_vision_projector_and_head(precision, linear, tmp_path):
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("accelerate")
    from tests.kit.originals import native_model

    native_model("qwen2", "rms_norm").save_pretrained(tmp_path)
    model = transformers.InternVLForConditionalGeneration.from_pretrained(
        tmp_path,
        quantization_config=quantisation(precision, "float32"),
        dtype=torch.float32,
        device_map={"": "cpu"},
    )
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    linears = {name: kind for name, kind in kinds.items() if "Linear" in kind}
    kept = {name for name, kind in linears.items() if kind == "Linear"}
    assert kept == {name for name in linears if name.startswith(SKIPPED)}
    assert len(kept) == 2 * 6 + 2 + 1
    assert {kind for name, kind in linears.items() if name not in kept} == {linear}
    assert model(input_ids=torch.tensor([[1, 2, 3]])).logits.isfinite().all()
