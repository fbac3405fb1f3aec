from collections import Counter

import pytest

from internvl_llm.checkpoints.family import FAMILY, member
from internvl_llm.errors import OptionError, PlacementError
from internvl_llm.hardware.footprint import OVERHEAD, Footprint, Workload, footprint, measure
from internvl_llm.hardware.placement import explicit, place, plan, usage

GB = 1_000_000_000
MEMORIES = (16, 24, 40, 80, 141)


@pytest.fixture(scope="module")
def meta_models():
    """The native model of every member on the meta device, by name."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    built = {}
    with torch.device("meta"):
        for one in FAMILY:
            config = transformers.InternVLConfig.from_dict(one.config())
            built[one.name] = transformers.InternVLForConditionalGeneration(config)
    return built


def tiny(**changes):
    sizes = {"vision": 30, "projector": 5, "embeddings": 10, "layers": (20,) * 10, "norm": 1, "head": 10}
    works = {"kv_per_layer": 0, "tile_work": 0, "token_work": 0}
    return Footprint("tiny", "bf16", **{**sizes, "tied": False, **works, **changes})


def layers_on(placed):
    return Counter(device for name, device in placed.items() if ".layers." in name)


def test_sizes_from_shapes_are_those_of_the_real_classes(meta_models):
    for one in FAMILY:
        model = meta_models[one.name]
        assert one.parameters == sum(parameter.numel() for parameter in model.parameters())
        for precision in ("bf16", "int8", "int4"):
            assert footprint(one, precision) == measure(model, one.name, precision)


def test_every_module_is_placed_once_within_memory_or_refused(meta_models):
    work = Workload()
    placed, refusals = 0, []
    for one in FAMILY:
        model = meta_models[one.name]
        sizes = {name: 2 * parameter.numel() for name, parameter in model.named_parameters()}
        owners = {name: owner(name, footprint(one).modules) for name in sizes}
        for count in range(1, 9):
            for memory in MEMORIES:
                gpus = [memory * GB] * count
                try:
                    found = place(one, gpus)
                except PlacementError as error:
                    refusals.append(str(error))
                    continue
                placed += 1
                seen = set()
                for replica in found.replicas:
                    assert seen.isdisjoint(replica.values())
                    assert set(replica) == set(footprint(one).modules)
                    seen |= set(replica.values())
                    used = Counter()
                    for name, size in sizes.items():
                        used[replica[owners[name]]] += size
                    for device, layers in layers_on(replica).items():
                        used[device] += layers * one.text.kv_bytes_per_layer * work.tokens
                    for device in used:
                        assert used[device] + OVERHEAD <= found.used[device] <= memory * GB
    assert placed > 400 and len(refusals) > 50
    assert all("Use " in text for text in refusals)


def owner(parameter, modules):
    """The one module that holds the parameter."""
    keys = [key for key in modules if parameter.startswith(f"{key}.")]
    assert len(keys) == 1, (parameter, keys)
    return keys[0]


@pytest.mark.parametrize(
    ("name", "memory", "count", "copies"),
    [
        ("1B", 16, 8, 8),
        ("8B", 24, 1, 1),
        ("8B", 16, 2, 1),
        ("14B", 40, 1, 1),
        ("14B", 24, 8, 4),
        ("38B", 80, 8, 4),
        ("38B", 141, 1, 1),
        ("78B", 80, 4, 1),
        ("78B", 141, 8, 4),
        ("InternVL3.5-241B-A28B", 141, 4, 1),
    ],
)
def test_as_many_copies_as_fit(name, memory, count, copies):
    assert len(place(member(name), [memory * GB] * count).replicas) == copies


def test_the_gpu_with_the_vision_tower_gets_fewer_layers():
    placed = place(member("38B"), [40 * GB] * 3).replicas[0]
    vision = placed["model.vision_tower"]
    counts = layers_on(placed)
    assert sum(counts.values()) == 64
    assert all(counts[vision] < layers for device, layers in counts.items() if device != vision)


def test_gpus_are_filled_to_the_same_share():
    used = place(member("78B"), [80 * GB] * 4).used
    assert max(used.values()) - min(used.values()) < 3 * GB


def test_layers_stay_in_order():
    placed = place(member("78B"), [80 * GB] * 4).replicas[0]
    devices = [placed[f"model.language_model.layers.{index}"] for index in range(80)]
    assert devices == sorted(devices)
    assert placed["model.language_model.rotary_emb"] == placed["model.language_model.embed_tokens"] == 0


def test_a_tied_head_stays_with_the_embeddings():
    model = tiny(tied=True, head=0)
    placed = plan(model, [OVERHEAD + 150, OVERHEAD + 150]).replicas[0]
    assert len(set(placed.values())) == 2
    assert placed["lm_head"] == placed["model.language_model.embed_tokens"]


def test_small_gpus_are_left_out_rather_than_spoil_copies():
    found = place(member("8B"), [8 * GB, 24 * GB, 24 * GB])
    assert [set(one.values()) for one in found.replicas] == [{1}, {2}]


def test_unequal_gpus_share_by_size():
    counts = layers_on(place(member("14B"), [16 * GB, 24 * GB]).replicas[0])
    assert counts[1] > counts[0] > 0


def test_one_copy_can_be_asked_for():
    found = place(member("38B"), [80 * GB] * 4, replicas=1)
    assert len(found.replicas) == 1 and set(found.replicas[0].values()) == {0, 1, 2, 3}
    assert len(place(member("8B"), [80 * GB] * 4, replicas=2).replicas) == 2


def test_more_context_needs_more_memory():
    one = member("14B")
    assert place(one, [40 * GB])
    with pytest.raises(PlacementError, match="100000 tokens"):
        place(one, [40 * GB], workload=Workload(tokens=100_000))


def test_the_error_says_what_would_fit():
    with pytest.raises(PlacementError) as caught:
        place(member("38B"), [24 * GB, 24 * GB])
    text = str(caught.value)
    assert "InternVL3-38B in bf16 needs" in text and "24 GB + 24 GB" in text
    assert "Use int4 or InternVL3-14B or 4 GPUs of 24 GB" in text
    assert place(member("38B"), [24 * GB] * 2, precision="int4")
    assert place(member("38B"), [24 * GB] * 4)


def test_the_error_without_any_gpu():
    with pytest.raises(PlacementError, match="there is no GPU"):
        place(member("8B"), [])


def test_nothing_fits_on_a_very_small_gpu():
    with pytest.raises(PlacementError, match="Use a GPU with more memory"):
        place(member("1B"), [GB])


def test_impossible_copies_are_refused():
    with pytest.raises(OptionError, match="3 copies on 2 GPUs"):
        place(member("1B"), [24 * GB] * 2, replicas=3)
    with pytest.raises(PlacementError, match="fewer copies"):
        place(member("8B"), [16 * GB] * 2, replicas=2)


def test_an_explicit_map_is_written_out():
    model = footprint(member("8B"))
    short = {"": 0, "model.language_model": "cuda:1", "model.language_model.layers.3": 0}
    placed = explicit(short, model, [24 * GB] * 2).replicas[0]
    assert set(placed) == set(model.modules)
    assert placed["model.vision_tower"] == 0 and placed["lm_head"] == 0
    assert placed["model.language_model.layers.4"] == 1 and placed["model.language_model.layers.3"] == 0
    assert explicit({"": "cpu"}, model, []).used.keys() == {"cpu"}


def test_an_explicit_map_of_a_plan_is_the_plan():
    model = footprint(member("14B"))
    found = plan(model, [24 * GB] * 2)
    assert explicit(found.replicas[0], model, [24 * GB] * 2) == found


@pytest.mark.parametrize(
    ("device_map", "error", "match"),
    [
        ({"model": 0}, OptionError, "leaves out 'lm_head'"),
        ({"": 0, "visual": 0}, OptionError, "names 'visual'"),
        ({"": 0, "model.language_model.layers.99": 0}, OptionError, "layers.99"),
        ({"": 0, "model.vision_tower.encoder.layer.3": 1}, OptionError, "not as a whole part"),
        ({"": 2}, OptionError, "device 2"),
        ({"": "disk"}, OptionError, "device 'disk'"),
        ({"": -1}, OptionError, "device -1"),
        ({"": 1}, PlacementError, "on GPU 1, which has 8 GB"),
    ],
)
def test_a_wrong_explicit_map_is_refused(device_map, error, match):
    with pytest.raises(error, match=match):
        explicit(device_map, footprint(member("8B")), [24 * GB, 8 * GB])


def test_a_tied_head_away_from_its_embeddings_is_refused():
    with pytest.raises(OptionError, match="one tensor on two devices"):
        explicit({"": 0, "lm_head": 1}, tiny(tied=True, head=0), [2 * GB] * 2)


def test_usage_counts_the_work_of_a_device_once():
    model = tiny(tile_work=7, token_work=3, kv_per_layer=2)
    used = usage(dict.fromkeys(model.modules, 0), model, Workload(tokens=4, prefill=5, tiles=2))
    assert used == {0: OVERHEAD + 30 + 5 + 10 + 10 * (20 + 2 * 4) + 1 + 10 + max(7 * 2, 3 * 5)}


def test_a_plan_says_where_it_runs():
    assert str(place(member("38B"), [80 * GB] * 4)) == "2 copies on GPUs 0, 1; GPUs 2, 3"
    assert str(place(member("8B"), [80 * GB])) == "1 copy on GPU 0"


@pytest.mark.parametrize("tied", [False, True])
def test_a_written_out_map_loads(tied, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from tests.kit.originals import native_model

    model = native_model("qwen3", "rms_norm", tied=tied)
    model.save_pretrained(tmp_path)
    found = measure(model, "tiny")
    assert found.tied is tied and (found.head == 0) is tied
    placed = explicit({"": "cpu"}, found, []).replicas[0]
    back = transformers.InternVLForConditionalGeneration.from_pretrained(tmp_path, device_map=dict(placed))
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(back(input_ids=tokens).logits, model(input_ids=tokens).logits)
