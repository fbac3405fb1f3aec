"""InternVLDecisions on real weights: its probabilities are those of transformers' own forward pass."""

from __future__ import annotations

import base64
import io
import math
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from blockbuster import blockbuster_ctx
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from internvl_llm import (
    EngineSpec,
    Finish,
    Image,
    MediaError,
    MediaOptions,
    MessageError,
    MissingDependencyError,
    OptionError,
    Text,
    TextDelta,
    ToolCall,
    open_engine,
)
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.errors import ContextError, EngineError, InternVLError
from internvl_llm.langchain.decisions.state import pieces
from internvl_llm.prompt.tiling import normalise
from tests.kit.checkpoints import built
from tests.kit.pdfs import pdf
from tests.kit.scripted import USAGE, ScriptedEngine, says

try:
    from langchain_core.decisions import Box, Choice, Noul, NoulCriteria, Score
except ImportError:
    here = None
else:
    here = version("langchain-core")

decides = pytest.mark.skipif(here is None, reason="decision models came with langchain-core 1.8")

URGENT = "Production is down since Monday, and nobody answers. Please help immediately!"
QUESTIONS: Any = here and {
    "urgent": Noul(
        instructions="Is this urgent?", criteria=NoulCriteria(true="It cannot wait.", false=["It can", 2])
    ),
    "team": Choice(
        instructions="Which team should answer?",
        criteria={
            "billing": "Invoices and payments.",
            "other": None,
            "other than that": {"see": "the handbook"},
            "technical support": "What does not work.",
        },
    ),
    "anger": Score(
        instructions={"ask": "How angry is the writer?"}, criteria=["Calm.", "Annoyed.", "Angry."]
    ),
}


def png(size: tuple[int, int] = (100, 60), colour: str = "red") -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def block(data: bytes, mime: str = "image/png", kind: str = "image") -> dict[str, Any]:
    return {"type": kind, "base64": base64.b64encode(data).decode(), "mime_type": mime}


@pytest.fixture(scope="module", params=[pytest.param("smollm2", marks=pytest.mark.slow), "tiny"])
def engine(request: pytest.FixtureRequest) -> Iterator[TransformersEngine]:
    made = TransformersEngine(EngineSpec(str(built(request.param)), dtype="float32"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def tiny() -> Iterator[TransformersEngine]:
    made = TransformersEngine(EngineSpec(str(built("tiny")), dtype="float32"))
    yield made
    made.close()


def decisions(engine: Any, **options: Any) -> Any:
    from internvl_llm.langchain_decisions import InternVLDecisions

    return InternVLDecisions(engine=engine, **options)


def ask(engine: Any, state: Any, questions: Any, **options: Any) -> Any:
    return decisions(engine, **options).invoke({"state": state, "questions": questions})


@torch.inference_mode()
def expected(engine: TransformersEngine, requests: Any, answers: list[str]) -> list[float]:
    """One forward pass an answer over prompt, answer and end of turn, by the forward of
    transformers' class; a softmax over what may be said at all."""
    model = engine._cores[0].runner.model
    end = engine._encoder.special["<|im_end|>"]
    logs = []
    for request, answer in zip(requests, answers, strict=True):
        prompted = engine.prompting.tokenize(request)
        said = [*engine._encoder.words(answer), end]
        pixels = [torch.from_numpy(normalise(picture.tiles)) for picture in prompted.images]
        shown = {"pixel_values": torch.cat(pixels)} if pixels else {}
        whole = torch.tensor([prompted.ids + said])
        logits = model(input_ids=whole, logits_to_keep=len(said) + 1, **shown).logits[0].float()
        logits[:, list(engine._cores[0].suppressed_tokens)] = float("-inf")
        chances = logits.log_softmax(-1)
        logs.append(sum(float(chances[at, token]) for at, token in enumerate(said)))
    weights = torch.tensor(logs, dtype=torch.float64).softmax(0)
    return weights.tolist()


@decides
@pytest.mark.parametrize("shown", [False, True])
def test_probabilities_are_those_of_the_models_own_forward_pass(
    engine: TransformersEngine, shown: bool
) -> None:
    state: Any = [HumanMessage([{"type": "text", "text": URGENT}, block(png())])] if shown else URGENT
    model = decisions(engine, max_tiles=1)
    _, asked = model._prepare(state, QUESTIONS)
    answers = [["Yes", "No"], list(QUESTIONS["team"].criteria), ["0", "1", "2"]]
    own = [expected(engine, one.requests, said) for one, said in zip(asked, answers, strict=True)]
    response = model.invoke({"state": state, "questions": QUESTIONS})
    assert response.nouls["urgent"].noul == pytest.approx(own[0][0], abs=1e-4)
    team = response.choices["team"]
    assert list(team.probabilities) == answers[1]
    assert list(team.probabilities.values()) == pytest.approx(own[1], abs=1e-4)
    assert team.choice == answers[1][own[1].index(max(own[1]))]
    assert team.confidence == max(team.probabilities.values())
    assert math.fsum(team.probabilities.values()) == pytest.approx(1, abs=1e-12)
    anger = response.scores["anger"]
    assert list(anger.probabilities.values()) == pytest.approx(own[2], abs=1e-4)
    assert math.fsum(anger.probabilities.values()) == pytest.approx(1, abs=1e-12)
    assert anger.score == pytest.approx(own[2][1] + 2 * own[2][2], abs=2e-4)
    assert anger.legend == {0: "Calm.", 1: "Annoyed.", 2: "Angry."}
    assert 0.01 < response.nouls["urgent"].noul < 0.99  # neither side is a rounding error
    assert list(response.answers) == ["urgent", "team", "anger"]
    assert response.model == engine.capabilities.model


@decides
@pytest.mark.slow
def test_a_little_model_knows_a_little() -> None:
    """SmolLM2's wits are few: it tells better from worse, not good from bad."""
    engine = open_engine(built("smollm2"), dtype="float32")
    criteria: Any = {"positive": None, "negative": None}
    asked = {"review": Choice(instructions="Is the review positive or negative?", criteria=criteria)}
    better, worse = (
        ask(engine, said, asked).choices["review"].probabilities["positive"]
        for said in ("I love this film, it is wonderful!", "I hate this film, it is awful.")
    )
    assert better > worse + 0.1


@decides
async def test_sync_is_async_and_nothing_blocks_the_loop(engine: TransformersEngine) -> None:
    state = [block(png()), "A note: " + URGENT]
    questions = {**QUESTIONS, "where": Box(instructions="the red <part>")}
    model = decisions(engine, max_tiles=1)
    sync = model.invoke({"state": state, "questions": questions})
    with blockbuster_ctx():
        both = await model.abatch([{"state": state, "questions": questions}] * 2)
    for other in both:
        assert other.answers["where"].box == sync.answers["where"].box
        assert other.nouls["urgent"].noul == pytest.approx(sync.nouls["urgent"].noul, abs=1e-4)
        for name in ("team", "anger"):
            assert other.answers[name].probabilities == pytest.approx(
                sync.answers[name].probabilities, abs=1e-4
            )
        assert other.usage["input_tokens"] == sync.usage["input_tokens"] > 256


@decides
def test_a_box_is_of_the_grounding_and_sure_of_its_numbers(engine: TransformersEngine) -> None:
    model = decisions(engine, max_tiles=1)
    asked = {"total": Box(instructions="the total"), "red": Noul(instructions="Is it red?")}
    response = model.invoke({"state": block(png()), "questions": asked})
    found = response.boxes["total"]
    assert 0 <= found.box.left <= found.box.right <= 1
    assert 0 <= found.box.top <= found.box.bottom <= 1
    _, (one, _) = model._prepare(block(png()), asked)
    (request,) = one.requests
    assert request.messages[0].parts[-1].grounding
    assert request.messages[0].text.endswith("this sentence describes: <ref>the total</ref>")
    [result] = engine.generate([request])
    [sample] = result.samples
    numbers = [token.logprob for token in sample.logprobs if any(map(str.isdigit, token.token))]
    assert found.confidence == pytest.approx(math.exp(sum(numbers) / 4), rel=1e-3)
    assert 0 <= found.confidence <= 1


@decides
def test_what_to_locate_is_one_line_without_tags(tiny: TransformersEngine) -> None:
    long = "the <ref>cell</ref>\n at the end \0of " + "a very long row " * 30
    model = decisions(tiny, max_tiles=1)
    _, (one, other) = model._prepare(
        block(png()), {"long": Box(instructions=long), "json": Box(instructions={"what": "the total"})}
    )
    *_, told, line, question = one.requests[0].messages[0].parts
    assert (told, line) == (Text(long), Text("\n"))
    assert question.text.count("<ref>") == question.text.count("</ref>") == 1
    assert len(question.text) < 300
    assert '<ref>{"what": "the total"}</ref>' in other.requests[0].messages[0].text
    for request in (*one.requests, *other.requests):
        assert tiny.generate([request])[0].finish_reason == "stop"


@decides
def test_what_is_computed_of_the_state_is_shared(tiny: TransformersEngine) -> None:
    """And images are decoded once."""
    usage = ask(tiny, [block(png(colour="teal")), "A red image."], QUESTIONS, max_tiles=1).usage
    one = usage["input_tokens"] / 9
    assert usage["input_token_details"]["cache_read"] > 8 * 256
    assert one > 256
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@decides
def test_one_call_of_the_engine_for_all_questions() -> None:
    """On a scripted engine, which tells no log probabilities: that is an error too."""
    engine = ScriptedEngine([says("Yes")] * 20)
    with pytest.raises(EngineError, match="no log probabilities"):
        ask(engine, "Hello", QUESTIONS)
    assert len(engine.requests) == 9
    messages = [request.messages[0].text for request in engine.requests]
    assert messages[0] == (
        'Hello\n\nIs this urgent?\n- Yes: It cannot wait.\n- No: ["It can", 2]\nAnswer Yes or No.'
    )
    assert messages[2] == (
        "Hello\n\nWhich team should answer?\n- billing: Invoices and payments.\n- other\n"
        '- other than that: {"see": "the handbook"}\n- technical support: What does not work.\n'
        "Answer with one of these labels, word for word."
    )
    assert messages[6] == (
        'Hello\n\n{"ask": "How angry is the writer?"}\n- 0: Calm.\n- 1: Annoyed.\n- 2: Angry.\n'
        "Answer with the number of one of these levels."
    )


@decides
def test_documents_and_media_in_questions(tiny: TransformersEngine) -> None:
    document = block(pdf("Invoice 7", "Total 12.50"), "application/pdf", "file")
    sample = {"seen": ["as in", block(png())]}
    asked = {"kind": Choice(instructions=["Which?"], criteria={"invoice": sample, "other": None})}
    model = decisions(tiny, max_tiles=1)
    _, (one,) = model._prepare({"scan": document}, asked)
    assert [request.page for request in one.requests] == [True, True]
    assert sum(isinstance(part, Image) for part in one.requests[0].messages[0].parts) == 3
    response = model.invoke({"state": {"scan": document}, "questions": asked})
    assert sum(response.choices["kind"].probabilities.values()) == pytest.approx(1)
    with pytest.raises(MessageError, match="needs one image, and 2 images"):
        model.invoke({"state": {"scan": document}, "questions": {"total": Box(instructions="total")}})
    page = {**document, "extras": {"pages": "2"}}
    assert model.invoke({"state": page, "questions": {"total": Box(instructions="total")}}).boxes["total"]


@decides
@pytest.mark.parametrize(
    ("state", "questions", "kind", "said"),
    [
        ("Hi", {}, OptionError, "Give one question"),
        ("Hi", {"a": "Is it?"}, OptionError, "Give Noul, Choice, Score and Box"),
        ("Hi", {"a": {"type": "noul"}}, OptionError, "Field required"),
        (
            "Hi",
            {"a": {"type": "choice", "instructions": "?", "criteria": {" ": 1}}},
            OptionError,
            "label is empty",
        ),
        ("Hi", {"a": {"type": "box", "instructions": "x"}}, MessageError, "needs one image, and 0 images"),
        ("Hi", {"a": {"type": "box", "instructions": "<>"}}, OptionError, "Give it instructions"),
        ({"a": float("nan")}, None, MessageError, "not JSON"),
        ({"a": b"bytes"}, None, MessageError, "not JSON"),
        ({1: "a"}, None, MessageError, "strings as keys"),
        (b"bytes", None, MessageError, "not JSON"),
        ([{"type": "audio", "base64": "AAAA"}], None, MessageError, "hears nothing"),
        ([{"type": "image", "url": "file:///etc/passwd"}], None, MessageError, r"data: or http\(s\)"),
        ([{"type": "image", "base64": "AAAA"}], None, InternVLError, "not an image"),
        ("word " * 40_000, None, ContextError, "tokens"),
    ],
)
async def test_bad_input_is_told_what_to_do(
    tiny: TransformersEngine, state: Any, questions: Any, kind: type[Exception], said: str
) -> None:
    asked = {"a": Noul(instructions="Is it?")} if questions is None else questions
    model = decisions(tiny)
    with pytest.raises(kind, match=said):
        model.invoke({"state": state, "questions": asked})
    with pytest.raises(kind, match=said):
        await model.ainvoke({"state": state, "questions": asked})


@decides
def test_an_answer_that_does_not_fit_is_no_answer() -> None:
    engine = ScriptedEngine([[TextDelta("Y"), Finish("length", USAGE)]] * 2)
    with pytest.raises(ContextError, match="'urgent' does not fit"):
        ask(engine, "Hi", {"urgent": QUESTIONS["urgent"]})


@decides
def test_options(tiny: TransformersEngine, tmp_path: Path) -> None:
    from internvl_llm.langchain_decisions import InternVLDecisions

    model = InternVLDecisions(model=tmp_path, system=None, min_tiles=2, media=MediaOptions(max_images=1))
    assert (model.model, model._provider) == (str(tmp_path), "internvl")
    assert model.media.max_images == 1
    assert "media" not in model.model_dump()
    for wrong, said in (
        ({"nothing": 1}, "no such option: nothing"),
        ({"model": ""}, "no model is named"),
        ({"min_tiles": 20}, "20 to 12 tiles"),
        ({"engine": {"what": 1}}, "no such engine option"),
        ({"engine": 7}, "engine cannot be a int"),
    ):
        with pytest.raises(OptionError, match=said):
            InternVLDecisions(**{"model": "8B", **wrong})
    with pytest.raises(MediaError, match="max_images = 1"):
        ask(tiny, [block(png())] * 2, QUESTIONS, media=MediaOptions(max_images=1))
    first = ask(tiny, "Hi", {"a": QUESTIONS["urgent"]}).nouls["a"].noul
    assert ask(tiny, "Hi", {"a": QUESTIONS["urgent"]}, system="You say no.").nouls["a"].noul != first


def joined(state: Any) -> str:
    return "".join(
        piece if isinstance(piece, str) else getattr(piece, "text", "*") for piece in pieces(state)
    )


def test_states() -> None:
    image = block(png())
    call = AIMessage("Let me see", tool_calls=[{"name": "look", "args": {"at": 1}, "id": "7"}])
    assert joined("Plain {text}") == "Plain {text}"
    assert joined(image) == "*"
    assert joined([image, "What <|im_end|>", {"type": "text", "text": "is"}]) == "*What <|im_end|>is"
    assert joined(HumanMessage(["One", image])) == "One*"
    assert joined([HumanMessage("One"), HumanMessage(["Two", image])]) == "One\nTwo*"
    assert joined(["a", 1, None, True, 1.5, {}, [], {"b": {"c": ["é"]}}]) == (
        '["a", 1, null, true, 1.5, {}, [], {"b": {"c": ["é"]}}]'
    )
    assert (
        joined({"type": "image", "name": "no image at all"}) == '{"type": "image", "name": "no image at all"}'
    )
    assert joined({"photo": image, "said": HumanMessage(["See", image])}) == (
        '{"photo": *, "said": {"role": "user", "content": ["See", *]}}'
    )
    assert joined([SystemMessage("Be brief"), call, ToolMessage("ok", tool_call_id="7", name="look")]) == (
        '[{"role": "system", "content": ["Be brief"]}, {"role": "assistant", "content": ["Let me see", '
        '{"call": "look", "arguments": {"at": 1}}]}, {"role": "tool", "content": [{"result of": "look", '
        '"content": ["ok"]}]}]'
    )
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(MessageError, match="deeper than 100"):
        joined(deep)
    assert ToolCall("1", "x", {}) not in list(pieces(call))


@pytest.mark.skipif(here is not None, reason="this langchain-core has decision models")
def test_an_older_core_is_told_which_one_is_needed() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'langchain-core>=1\.8'"):
        import internvl_llm.langchain_decisions  # noqa: F401


def test_without_decision_models_importing_says_so() -> None:
    code = """
import sys
sys.modules["langchain_core.decisions"] = None
try:
    import internvl_llm.langchain_decisions
except ImportError as error:
    print(type(error).__name__, error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == (
        "MissingDependencyError decision models came with langchain-core 1.8. "
        "Run pip install 'langchain-core>=1.8'.\n"
    )
