"""Critics: agreement of answers, and the prompts and scores of a process reward model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from internvl_llm import (
    Consensus,
    Engine,
    EngineError,
    EngineSpec,
    Event,
    Finish,
    Image,
    InternVLCritic,
    Message,
    OptionError,
    Request,
    Sampling,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.messages import Text
from tests.kit.checkpoints import built
from tests.kit.pictures import gradient
from tests.kit.scripted import ScriptedEngine

ASKED = (Message.user("What is 2 + 3?"),)


def test_consensus_prefers_what_most_say() -> None:
    answers = ["The total is 12.50", "The total is 12.50 EUR", "Total: 1250", "I cannot read it"]
    scores = Consensus().scores(ASKED, answers)
    assert scores[0] == max(scores)
    assert scores[3] == min(scores)
    assert all(0 <= score <= 1 for score in scores)


def test_consensus_is_one_minus_the_mean_distance() -> None:
    assert Consensus().scores(ASKED, ["abcd", "abce", "xbcd"]) == pytest.approx(
        [1 - (0.25 + 0.25) / 2, 1 - (0.25 + 0.5) / 2, 1 - (0.25 + 0.5) / 2]
    )


def test_consensus_of_equals_is_the_same_in_any_place() -> None:
    """Sums of the same distances in another order would differ in the last bit."""
    others = [f"{'x' * (n % 7)}answer{n * 37}{'y' * (n % 5)}" for n in range(20)]
    scores = Consensus().scores(ASKED, ["the same", *others[:9], "the same", *others[9:], "the same"])
    assert scores[0] == scores[10] == scores[22]


def test_consensus_of_few() -> None:
    assert Consensus().scores(ASKED, ["alone"]) == [1.0]
    assert Consensus().scores(ASKED, []) == []
    assert Consensus().scores(ASKED, ["", ""]) == [1.0, 1.0]


def judging(**chances: float) -> ScriptedEngine:
    """An engine that judges a turn by what stands in it."""

    def judge(request: Request) -> list[Event]:
        assert request.sampling == Sampling(max_tokens=1, logprobs=20)
        last = request.messages[-1].text
        good = next((p for word, p in chances.items() if word in last), 0.5)
        top = [("+", math.log(good * 0.9)), ("-", math.log((1 - good) * 0.9)), ("ok", math.log(0.1))]
        return likeliest(*sorted(top, key=lambda told: -told[1]))

    return ScriptedEngine(judge)


def likeliest(*top: tuple[str, float]) -> list[Event]:
    """The first of these, and that nothing follows."""
    return [TextDelta(top[0][0], (TokenLogprob(*top[0], top),)), Finish("length", Usage())]


def critic(engine: Engine, **options: Any) -> InternVLCritic:
    return InternVLCritic(engine, **options)


def test_each_step_is_told_in_a_turn_of_its_own() -> None:
    engine = judging(first=0.9, second=0.3, third=0.6)
    answers = ["A first step.\n\nThe second\nof two lines.\n\n\n\nA third.", "A first step."]
    judge = critic(engine)
    assert judge.step_scores(ASKED, answers) == [pytest.approx([0.9, 0.3, 0.6]), pytest.approx([0.9])]
    assert judge.scores(ASKED, answers) == pytest.approx([0.6, 0.9])
    turns = [[(turn.role, turn.text) for turn in request.messages] for request in engine.requests[:4]]
    opening = ("user", "### Question:\nWhat is 2 + 3?\n\n### Solution Process:\nA first step.")
    assert turns[0] == turns[3] == [opening]
    assert turns[1] == [opening, ("assistant", "+"), ("user", "The second\nof two lines.")]
    assert turns[2] == [*turns[1], ("assistant", "+"), ("user", "A third.")]


def test_all_answers_are_judged_in_one_batch_and_equal_ones_once() -> None:
    engine = judging(good=0.8)
    engine.seconds = 0.2
    assert critic(engine).scores(ASKED, ["good", "bad", "good"]) == pytest.approx([0.8, 0.5, 0.8])
    assert (engine.most, len(engine.requests)) == (2, 2)


def test_many_steps_are_joined() -> None:
    engine = judging()
    (scores,) = critic(engine, max_steps=3).step_scores(ASKED, ["\n\n".join("abcdefg")])
    assert len(scores) == 3
    assert engine.requests[-1].messages[-1].text == "g"
    assert engine.requests[-2].messages[-1].text == "d\n\ne\n\nf"
    with pytest.raises(OptionError, match="max_steps"):
        critic(engine, max_steps=0)


def test_an_answer_that_says_nothing() -> None:
    assert critic(judging()).scores(ASKED, ["", "\n\n \n\n"]) == pytest.approx([0.5, 0.5])


def test_what_was_asked_is_shown_with_its_images_and_earlier_turns() -> None:
    picture = Image(gradient())
    asked = (
        Message.system("Be brief."),
        Message.user(picture, "What is it?"),
        Message.assistant("An invoice.", ToolCall("1", "look", {"at": "total"})),
        Message.tool(ToolResult("1", "look", (Text("12.50"),))),
        Message.user("So what is the total?"),
    )
    engine = judging()
    critic(engine, max_tiles=6, page=True).scores(asked, ["12.50"])
    (request,) = engine.requests
    (turn,) = request.messages
    assert turn.parts[2] is picture
    assert (request.max_tiles, request.page) == (6, True)
    assert turn.text == (
        "### Question:\nUser: What is it?\nAssistant: An invoice."
        '{"name": "look", "arguments": {"at": "total"}}\nTool: 12.50\nUser: So what is the total?'
        "\n\n### Solution Process:\n12.50"
    )


def test_a_model_that_does_not_judge_is_no_critic() -> None:
    chatty = ScriptedEngine([likeliest(("Well", -0.1))])
    with pytest.raises(EngineError, match="neither '\\+' nor '-'"):
        critic(chatty).scores(ASKED, ["5"])


def test_a_judgement_out_of_sight_counts_as_the_least_likely() -> None:
    sure = ScriptedEngine([likeliest(("+", -0.01), ("Yes", -5.0), ("I", -9.0))])
    assert critic(sure).scores(ASKED, ["5"]) == pytest.approx([1 / (1 + math.exp(-9.0 + 0.01))])


@pytest.fixture(scope="module")
def judge() -> Iterator[TransformersEngine]:
    """The tiny checkpoint, to which + and - are always among the likeliest tokens."""
    made = TransformersEngine(EngineSpec(str(built("tiny"))))
    ids = torch.tensor(made._tokenizer.convert_tokens_to_ids(["+", "-"]))
    made._cores[0].runner.model.lm_head.register_forward_hook(
        lambda head, given, logits: logits.index_add(-1, ids, torch.full((*logits.shape[:-1], 2), 9.0))
    )
    yield made
    made.close()


def test_the_scores_are_those_of_the_checkpoints_own_way(judge: TransformersEngine) -> None:
    """One pass over the whole conversation, read where each `+` stands, as VisualPRM's code does it."""
    from internvl_llm.prompt.tiling import normalise

    model = judge._cores[0].runner.model
    asked = (Message.user(Image(gradient(900, 400), max_tiles=2), "What is the total?"),)
    answers = ["The lines are 10 and 2.\n\nTogether 12.\n\nThe total is 12.", "It is 7."]
    found = critic(judge).step_scores(asked, answers)
    assert [len(steps) for steps in found] == [3, 1]
    ids = judge._tokenizer.convert_tokens_to_ids(["+", "-"])
    start, end = (judge._encoder.special[name] for name in ("<|im_start|>", "<|im_end|>"))
    for answer, own in zip(answers, found, strict=True):
        steps = answer.split("\n\n")
        opening = Message.user("### Question:\n", *asked[0].parts, f"\n\n### Solution Process:\n{steps[0]}")
        turns = [opening, Message.assistant("+")]
        for step in steps[1:]:
            turns += [Message.user(step), Message.assistant("+")]
        prompted = judge.prompting.tokenize(Request(turns))
        tokens = prompted.ids[: len(prompted.ids) - prompted.ids[::-1].index(start) - 1]
        at = [n - 1 for n in range(len(tokens) - 1) if tokens[n] == ids[0] and tokens[n + 1] == end]
        pixels = torch.cat([torch.from_numpy(normalise(p.tiles)) for p in prompted.images])
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([tokens]), pixel_values=pixels).logits[0, at][:, ids]
        assert own == pytest.approx(logits.softmax(-1)[:, 0].tolist(), abs=1e-5)
    assert len({round(score, 4) for steps in found for score in steps}) > 2


def test_best_of_n_by_a_critic(judge: TransformersEngine) -> None:
    """The engine that answers and the one that judges may be the same."""
    warm = Sampling(max_tokens=6, temperature=2.0, seed=1)
    result = judge.generate([Request("Hello", warm, n=4, critic=critic(judge))])[0]
    told = critic(judge).scores((Message.user("Hello"),), [sample.text for sample in result.samples])
    assert [sample.score for sample in result.samples] == pytest.approx(told, abs=1e-5)
    assert result.text == result.samples[max(range(4), key=told.__getitem__)].text
