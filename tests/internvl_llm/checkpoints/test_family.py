import pytest

from internvl_llm.checkpoints.family import FAMILY, find, hub_id, member
from internvl_llm.errors import OptionError

# InternVL3: parameters in billions; GB in bf16, int8 and int4; KB of keys and values a token in bf16. The
# int8 column is of a quantised head, which ours keeps in bf16.
INTERNVL3 = {
    "1B": (0.94, 1.9, 1.4, 1.4, 12),
    "2B": (2.09, 4.2, 2.6, 2.3, 28),
    "8B": (7.94, 15.9, 8.8, 6.5, 56),
    "9B": (9.14, 18.3, 9.9, 7.1, 48),
    "14B": (15.1, 30.2, 16.1, 11.1, 192),
    "38B": (38.4, 76.8, 44.6, 31.7, 256),
    "78B": (78.4, 156.8, 85.0, 55.5, 320),
}
# The model zoo's figures, in billions: vision, language, all.
INTERNVL35 = {
    "1B": (0.3, 0.8, 1.1),
    "2B": (0.3, 2.0, 2.3),
    "4B": (0.3, 4.4, 4.7),
    "8B": (0.3, 8.2, 8.5),
    "14B": (0.3, 14.8, 15.1),
    "38B": (5.5, 32.8, 38.4),
    "30B-A3B": (0.3, 30.5, 30.8),
    "241B-A28B": (5.5, 235.1, 240.7),
    "GPT-OSS-20B-A4B-Preview": (0.3, 20.9, 21.2),
}


def test_the_whole_family_is_there():
    assert [one.name for one in FAMILY] == [f"InternVL3-{size}" for size in INTERNVL3] + [
        f"InternVL3.5-{size}" for size in INTERNVL35
    ]


@pytest.mark.parametrize("size", INTERNVL3)
def test_internvl3_sizes_and_memory(size):
    one = member(f"InternVL3-{size}")
    billions, bf16, int8, int4, kilobytes = INTERNVL3[size]
    assert one.parameters / 1e9 == pytest.approx(billions, rel=0.01)
    assert one.weight_bytes("bf16") / 1e9 == pytest.approx(bf16, rel=0.015)
    assert (one.weight_bytes("int8") - one.text.embedding) / 1e9 == pytest.approx(int8, rel=0.03)
    assert one.weight_bytes("int4") / 1e9 == pytest.approx(int4, rel=0.04)
    assert one.kv_bytes_per_token == kilobytes * 1024


@pytest.mark.parametrize("size", INTERNVL35)
def test_internvl35_parameters(size):
    one = member(f"InternVL3.5-{size}")
    vision, language, total = INTERNVL35[size]
    assert round(one.vision.parameters / 1e9, 1) == vision
    assert one.text.parameters / 1e9 == pytest.approx(language, abs=0.051)
    assert one.parameters / 1e9 == pytest.approx(total, abs=0.051)


def test_quantising_hardly_helps_a_mixture_of_experts():
    one = member("InternVL3.5-30B-A3B")
    assert one.weight_bytes("int4") > 0.95 * one.weight_bytes("bf16")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OpenGVLab/InternVL3-8B", "InternVL3-8B"),
        ("OpenGVLab/InternVL3-8B-hf", "InternVL3-8B"),
        ("opengvlab/INTERNVL3-8b-HF", "InternVL3-8B"),
        ("InternVL3-8B", "InternVL3-8B"),
        ("8B", "InternVL3-8B"),
        (" 8b ", "InternVL3-8B"),
        ("OpenGVLab/InternVL3_5-8B-HF", "InternVL3.5-8B"),
        ("OpenGVLab/InternVL3_5-8B", "InternVL3.5-8B"),
        ("InternVL3.5-8B", "InternVL3.5-8B"),
        ("3.5-8B", "InternVL3.5-8B"),
        ("4B", "InternVL3.5-4B"),
        ("30B-A3B", "InternVL3.5-30B-A3B"),
        ("InternVL3.5-20B-A4B", "InternVL3.5-GPT-OSS-20B-A4B-Preview"),
        ("OpenGVLab/InternVL3_5-GPT-OSS-20B-A4B-Preview-HF", "InternVL3.5-GPT-OSS-20B-A4B-Preview"),
    ],
)
def test_a_name_in_any_spelling_is_found(name, expected):
    assert member(name).name == expected


def test_every_hub_id_and_name_finds_its_own_member():
    for one in FAMILY:
        assert {member(name) for name in (one.name, one.original, one.native, one.native.lower())} == {one}


def test_hub_ids_are_those_of_the_native_format():
    assert hub_id("8B") == "OpenGVLab/InternVL3-8B-hf"
    assert hub_id("OpenGVLab/InternVL3_5-1B") == "OpenGVLab/InternVL3_5-1B-HF"


@pytest.mark.parametrize(
    "name",
    [
        "someone/InternVL3-8B",
        "/models/InternVL3-8B",
        "./InternVL3-8B",
        "InternVL3-8B-Instruct",
        "InternVL3-8B-AWQ",
        "",
    ],
)
def test_other_checkpoints_are_not_taken_for_a_member(name):
    assert find(name) is None


def test_an_unknown_name_lists_the_family_and_the_nearest():
    with pytest.raises(OptionError) as caught:
        member("InternVL3-14")
    text = str(caught.value)
    assert "Did you mean InternVL3-14B?" in text
    assert all(one.name in text for one in FAMILY)


def test_tool_dialects():
    assert {one.name for one in FAMILY if one.dialect != "hermes"} == {
        "InternVL3-9B",
        "InternVL3.5-GPT-OSS-20B-A4B-Preview",
    }


def test_contexts():
    assert member("8B").context == 32_768
    assert member("InternVL3.5-8B").context == 40_960
