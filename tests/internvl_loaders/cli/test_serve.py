"""Commands of servers: every option is one of the recorded release, and memory is reckoned before it is
spent."""

from __future__ import annotations

import re
import shlex

import pytest

from internvl_llm.checkpoints.family import FAMILY, Member, member
from internvl_llm.errors import PlacementError
from internvl_llm.hardware.footprint import footprint
from internvl_llm.hardware.serving import need
from internvl_loaders.cli.serve import PORTS, commands, lines, plan
from tests.kit.command import internvl
from tests.kit.recorded import signatures

GB = 10**9
LARGE = {"InternVL3-78B": 8, "InternVL3.5-241B-A28B": 16}


@pytest.mark.parametrize("one", FAMILY, ids=lambda one: one.name)
def test_every_option_is_the_servers(one: Member) -> None:
    made = commands(plan(one, LARGE.get(one.name, 2), 80 * GB))
    assert [command.server for command in made] == list(PORTS)
    for command in made:
        assert command.note
        options = [words[0] for words in command.words if words[0].startswith("-")]
        assert set(options) <= set(signatures()[command.server]["flags"]), command.server
        assert len(set(options)) == len(options)
        assert bool(options) or command.server == "llama-server"


def test_as_few_gpus_to_a_copy_as_hold_it() -> None:
    def shared(name: str, gpus: int, gb: int) -> tuple[int, int]:
        found = plan(member(name), gpus, gb * GB).split
        return found.tensor_parallel, found.data_parallel

    assert shared("8B", 1, 24) == (1, 1)
    assert shared("8B", 8, 80) == (1, 8)
    assert shared("38B", 2, 80) == (2, 1)
    assert shared("38B", 1, 141) == (1, 1)
    assert shared("78B", 8, 80) == (4, 2)
    assert shared("78B", 2, 141) == (2, 1)
    assert shared("1B", 4, 24) == (1, 4)  # 14 heads, which 4 GPUs do not share


def test_what_is_there_is_what_is_needed() -> None:
    model, memory = footprint(member("14B")), 48 * GB
    whole, half = need(model, 1, memory), need(model, 2, memory)
    assert whole.weights == pytest.approx(member("14B").weight_bytes(), rel=1e-3)
    vision = 2 * member("14B").vision.parameters
    assert half.weights == pytest.approx((whole.weights - vision) / 2 + vision, rel=1e-3)
    assert whole.kv_per_token == member("14B").kv_bytes_per_token == 2 * half.kv_per_token
    assert whole.weights + whole.working + whole.left == int(0.9 * memory)
    assert whole.tokens * whole.kv_per_token <= whole.left


@pytest.mark.parametrize(
    ("name", "gpus", "gb", "context", "remedy"),
    [
        ("78B", 1, 80, None, "Use 4 such GPUs"),
        ("8B", 1, 20, None, "Use 2 such GPUs, allow 6,144 tokens of context"),
        ("8B", 1, 12, None, "Use 4 such GPUs or take"),
        ("8B", 1, 80, 10**6, "Lower context_tokens"),
    ],
)
def test_what_does_not_fit(name: str, gpus: int, gb: int, context: int | None, remedy: str) -> None:
    with pytest.raises(PlacementError) as raised:
        plan(member(name), gpus, gb * GB, context)
    assert remedy in str(raised.value)


def test_copies_have_gpus_and_ports_of_their_own() -> None:
    text = "\n".join(lines(plan(member("78B"), 8, 80 * GB)))
    assert "CUDA_VISIBLE_DEVICES=0,1,2,3 lmdeploy" in text and "CUDA_VISIBLE_DEVICES=4,5,6,7 lmdeploy" in text
    assert re.findall(r"--server-port (\d+)", text) == ["23333", "23334"]
    assert "http://localhost:23334/health" in text
    assert "--data-parallel-size 2" in text


def test_the_command_writes_a_script() -> None:
    run = internvl("models", "--serve", "8b", "--gpus", 2, "--gpu-memory", 24)
    assert run.returncode == 0
    assert "2 copies on 1 GPU each" in run.stdout
    words = shlex.split(run.stdout, comments=True)
    assert words[:3] == ["vllm", "serve", "OpenGVLab/InternVL3-8B-hf"]
    assert '{"image": 64, "video": 0}' in words
    wrong = internvl("models", "--serve", "78B")
    assert wrong.returncode == 1 and "Use 4 such GPUs" in wrong.stderr
    unknown = internvl("models", "--serve", "80B")
    assert unknown.returncode == 2 and "InternVL3-78B" in unknown.stderr
