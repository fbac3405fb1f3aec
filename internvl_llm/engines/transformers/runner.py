"""The thread that owns one copy of the model and advances all its jobs together, token by token."""

from __future__ import annotations

import inspect
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from internvl_llm.engines.transformers import guidance
from internvl_llm.engines.transformers.job import Job, tensors
from internvl_llm.engines.transformers.kv import Features, Prefixes, RowCache
from internvl_llm.engines.transformers.sampling import logprobs
from internvl_llm.errors import EngineError, InternVLError
from internvl_llm.events import TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds of a runner; see EngineSpec. `ends` and `never` are token ids."""

    max_batch: int
    kv_tokens: int
    token_bytes: int
    prefill_chunk: int
    vision_chunk: int
    prefix_bytes: int
    feature_bytes: int
    ends: frozenset[int]
    never: tuple[int, ...]
    prefill_attention: str
    """Where it is not `sdpa`, the steps of several rows use sdpa all the same: only that takes our masks."""


class Waiting:
    """Jobs that no runner has taken yet; shared by the runners of an engine."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self.closed = False

    def put(self, job: Job, *, first: bool = False) -> None:
        with self.changed:
            if self.closed:
                job.fail(closed())
                return
            (self._jobs.appendleft if first else self._jobs.append)(job)
            self.changed.notify_all()

    def take(self, fits: Callable[[Job], bool]) -> Job | None:
        """The first job, if it fits; cancelled ones end here."""
        with self.changed:
            while self._jobs and self._jobs[0].cancelled:
                self._jobs.popleft().end("cancelled")
            return self._jobs.popleft() if self._jobs and fits(self._jobs[0]) else None

    def wait(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self._jobs or self.closed)

    def close(self) -> list[Job]:
        with self.changed:
            self.closed = True
            left, self._jobs = list(self._jobs), deque()
            self.changed.notify_all()
            return left


class Runner:
    """Rows 0 to n-1 of the cache are the jobs that speak; row n is the one whose prompt is being computed."""

    def __init__(
        self, model: Any, settings: Settings, waiting: Waiting, decode: Callable[[int], str]
    ) -> None:
        self.model = model
        self.settings = settings
        self.waiting = waiting
        self.decode = decode
        self.language = model.model.language_model
        self.embed = model.get_input_embeddings()
        self.device, self.dtype = self.embed.weight.device, self.embed.weight.dtype
        self.cache = RowCache(self.language.config.num_hidden_layers)
        parameters = inspect.signature(type(self.language).forward).parameters
        self.cache_parameter = "cache" if "cache" in parameters else "past_key_values"  # its former name
        self.prefixes = Prefixes(settings.prefix_bytes)
        self.features = Features(settings.feature_bytes)
        self.speaking: list[Job] = []
        self.reading: Job | None = None
        self.room = settings.max_batch
        self.never = torch.tensor(settings.never, device=model.lm_head.weight.device)
        self.thread = threading.Thread(target=self._run, name="internvl-engine", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with torch.inference_mode():
            while not self.waiting.closed:
                if not self.speaking and self.reading is None:
                    self.cache.shrink()
                    self.waiting.wait()
                try:
                    self._advance()
                except BaseException as error:  # nothing may leave callers waiting for ever
                    for job in self._all():
                        job.fail(EngineError(f"the engine stumbled ({error!r})", remedy="Ask again"))
                    self.speaking, self.reading = [], None
        for job in self._all():
            job.fail(closed())

    def _all(self) -> list[Job]:
        return [*self.speaking, *([self.reading] if self.reading is not None else [])]

    def _advance(self) -> None:
        for row in reversed(range(len(self.speaking))):
            if self.speaking[row].cancelled:
                self.speaking[row].end("cancelled")
                self._leave(row)
        if self.reading is not None and self.reading.cancelled:
            self.reading.end("cancelled")
            self.reading = None
        if self.reading is None:
            self.reading = self.waiting.take(self._fits)
            if self.reading is not None:
                self._begin(self.reading)
        if self.reading is not None:
            self._read(self.reading)
        if self.speaking:
            self._speak()

    def _fits(self, job: Job) -> bool:
        rows = len(self.speaking) + 1
        longest = max(job.needs, *(other.needs for other in self.speaking), 0)
        if rows == 1:
            return True
        return rows <= self.room and rows * longest <= self.settings.kv_tokens

    # Reading: the prompt, in pieces, after what is known of it already.

    def _begin(self, job: Job) -> None:
        if job.needs > self.settings.kv_tokens:
            job.fail(
                EngineError(
                    f"{job.needs:,} tokens of prompt and answer need more memory than there is for "
                    f"{self.settings.kv_tokens:,}",
                    remedy="Ask for fewer max_tokens, show less, or raise kv_bytes",
                )
            )
            self.reading = None
            return
        keys = job.all_keys
        shared, layers = self.prefixes.longest(keys)
        job.computed = min(shared, len(keys) - 1)
        if job.cached is None:
            job.cached = job.computed
        row = len(self.speaking)
        self._room(job.computed + 1)
        self.cache.copy_in(row, layers, job.computed)

    def _room(self, positions: int) -> None:
        longest = max([positions, *(job.computed + 1 for job in self._all())])
        self.cache.fit(len(self.speaking) + (self.reading is not None), longest)

    def _read(self, job: Job) -> None:
        try:
            if self._vision(job):
                return
            logits = self._piece(job)
        except Exception as error:
            if _is_oom(error) and self._gave_way(job):
                return
            job.fail(_failure(error, "the prompt could not be computed"))
            self.reading = None
            return
        if logits is None:
            return
        self.reading = None
        job.features.clear()
        self.speaking.append(job)
        self._keep(len(self.speaking) - 1, job)
        self._told([job], logits)

    def _vision(self, job: Job) -> bool:
        """Whether some tiles were looked at, so that others get their turn before the next."""
        for index, ((_, stop), picture) in enumerate(zip(job.prompt.spans, job.prompt.pictures, strict=True)):
            done = job.features.get(index)
            if stop <= job.computed or (done is not None and len(done) == picture.count):
                continue
            if done is None and (known := self.features.get(picture.key)) is not None:
                job.features[index] = known
                continue
            start = 0 if done is None else len(done)
            tiles = picture.tiles[start : start + self.settings.vision_chunk]
            seen = self._see(tiles)
            job.features[index] = seen if done is None else torch.cat([done, seen])
            if len(job.features[index]) == picture.count:
                self.features.keep(picture.key, job.features[index])
            return True
        return False

    def _see(self, tiles: Any) -> torch.Tensor:
        """Features [tiles, 256, hidden]."""
        pixels = tensors(tiles, self.device, self.dtype)
        seen = self.model.model.get_image_features(pixel_values=pixels, return_dict=True)
        features: torch.Tensor = seen.pooler_output.to(self.device, self.dtype)
        return features

    def _piece(self, job: Job) -> torch.Tensor | None:
        """Compute the next piece of the prompt; logits [1, vocabulary] when it was the last."""
        tokens = job.tokens
        start = job.computed
        stop = min(len(tokens), start + self.settings.prefill_chunk)
        embedded = self.embed(torch.tensor([tokens[start:stop]], device=self.device))
        for index, (first, last) in enumerate(job.prompt.spans):
            low, high = max(first, start), min(last, stop)
            if low < high:
                patches = job.features[index].reshape(-1, embedded.shape[-1])
                embedded[0, low - start : high - start] = patches[low - first : high - first]
        places = torch.arange(start, stop, device=self.device)[None]
        row = len(self.speaking)
        self._room(stop)
        hidden = self._forward(embedded, row, places, stop)
        job.computed = stop
        return self.model.lm_head(hidden[:, -1]) if stop == len(tokens) else None

    # Speaking: one token for every row.

    def _speak(self) -> None:
        self._room(0)
        try:
            logits = self._step(0, self.speaking)
        except Exception as error:
            if _is_oom(error):
                self._part()
            else:
                self._one_by_one()
            return
        self._told(list(self.speaking), logits)

    def _step(self, first: int, jobs: Sequence[Job]) -> torch.Tensor:
        tokens = torch.tensor([[job.said[-1]] for job in jobs], device=self.device)
        places = torch.tensor([[job.computed] for job in jobs], device=self.device)
        hidden = self._forward(self.embed(tokens), first, places, max(job.computed for job in jobs) + 1)
        for job in jobs:
            job.computed += 1
        logits: torch.Tensor = self.model.lm_head(hidden[:, -1])
        return logits

    def _forward(self, embedded: torch.Tensor, first: int, places: torch.Tensor, seen: int) -> torch.Tensor:
        """Hidden states of the batch's tokens, each of which sees its row up to itself."""
        self.cache.select(first, places, seen)
        mask = torch.arange(seen, device=self.device) <= places[:, None, :, None]
        attention: Any = mask
        if self.language.config._attn_implementation == "eager":
            attention = torch.zeros_like(mask, dtype=self.dtype).masked_fill(
                ~mask, torch.finfo(self.dtype).min
            )
        if (
            self.settings.prefill_attention != "sdpa"
        ):  # its kernels know the causal mask of one row by themselves
            alone = places.shape[1] > 1
            self.language.config._attn_implementation = self.settings.prefill_attention if alone else "sdpa"
            attention = None if alone else mask
        out = self.language(
            inputs_embeds=embedded,
            attention_mask=attention,
            position_ids=places,
            use_cache=True,
            **{self.cache_parameter: self.cache},
        )
        hidden: torch.Tensor = out.last_hidden_state
        return hidden

    def _told(self, jobs: Sequence[Job], logits: torch.Tensor) -> None:
        """Choose every job's next token, and let those that are done leave."""
        logits[:, self.never.to(logits.device)] = float("-inf")
        own = self._constrain(jobs, logits)
        best, likeliest = logits.max(-1)
        values, tokens = best.tolist(), likeliest.tolist()
        for index, job in enumerate(jobs):
            try:
                if values[index] == -math.inf and job.constraint is not None:
                    raise job.constraint.failure()
                if not math.isfinite(values[index]):
                    raise EngineError(
                        "the model computed no finite number",
                        remedy="Try dtype='float32', or get its files again",
                    )
                done = self._say(job, tokens[index], logits[index], own.get(index))
            except Exception as error:
                job.fail(_failure(error, "no token could be chosen"))
                done = True
            if done:
                row = self.speaking.index(job)
                self._keep(row, job)
                self._leave(row)

    def _constrain(self, jobs: Sequence[Job], logits: torch.Tensor) -> dict[int, torch.Tensor]:
        """Forbid what grammars do; the logits of before, where log probabilities are asked for."""
        held = [(row, job.constraint) for row, job in enumerate(jobs) if job.constraint is not None]
        if not held:
            return {}
        rows, constraints = [row for row, _ in held], [constraint for _, constraint in held]
        own = {row: logits[row].clone() for row in rows if jobs[row].sampling.logprobs is not None}
        guidance.mask(logits, rows, guidance.allowed(constraints, logits.device))
        return own

    def _say(self, job: Job, likeliest: int, logits: torch.Tensor, own: torch.Tensor | None) -> bool:
        """`own` are the model's, before a grammar had its say; log probabilities are of these."""
        token, told = likeliest, []
        if not job.sampler.plain:
            row = logits.float().cpu()
            token = job.sampler.choose(row)
            if job.sampling.logprobs is not None:
                free = row if own is None else own.float().cpu()
                value, top = logprobs(free, token, job.sampling.logprobs)
                others = tuple((self.decode(one), chance) for one, chance in top)
                told = [TokenLogprob(self.decode(token), value, others)]
        return job.say(token, token in self.settings.ends, told)

    # Rows, and what is kept of them.

    def _leave(self, row: int) -> None:
        """Close the gap: the last row takes its place, and the row being read takes that one's."""
        last = len(self.speaking) - 1
        if row != last:
            self.cache.move(last, row, self.speaking[last].computed)
            self.speaking[row] = self.speaking[last]
        self.speaking.pop()
        if self.reading is not None and self.reading.computed:
            self.cache.move(last + 1, last, self.reading.computed)
        self.room = self.settings.max_batch

    def _keep(self, row: int, job: Job) -> None:
        if job.computed >= _WORTH_KEEPING and not job.cancelled:
            length = job.computed
            self.prefixes.keep(
                job.all_keys[:length],
                lambda: self.cache.copy_out(row, length),
                length * self.settings.token_bytes,
            )

    # When memory runs out.

    def _free(self) -> None:
        self.prefixes.clear()
        self.features.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _gave_way(self, job: Job) -> bool:
        """Whether the job that is being read may try again, when there is more room."""
        had = self.prefixes.bytes + self.features.bytes
        self._free()
        if not self.speaking and not had:
            return False
        job.computed, self.reading = 0, None
        job.features.clear()
        if self.speaking:
            self.room = len(self.speaking)
        self.waiting.put(job, first=True)
        return True

    def _part(self) -> None:
        """Half of the rows wait until the others are done; one alone that finds no room fails."""
        self._free()
        stay = len(self.speaking) // 2
        if self.reading is not None:
            reading, self.reading = self.reading, None
            reading.computed = 0
            reading.features.clear()
            self.waiting.put(reading, first=True)
        elif not stay:
            job = self.speaking.pop()
            job.fail(
                EngineError(
                    f"out of memory at {job.computed:,} tokens, with nothing else running",
                    remedy="Use fewer tiles or max_tokens, precision='int8', or a smaller model",
                )
            )
            return
        for job in reversed(self.speaking[max(stay, 1) :]):
            job.computed = 0
            self.waiting.put(job, first=True)
        del self.speaking[max(stay, 1) :]
        self.room = len(self.speaking)

    def _one_by_one(self) -> None:
        """A step failed: each row by itself, so that only those at fault do."""
        done: list[tuple[Job, torch.Tensor]] = []
        for row, job in enumerate(self.speaking):
            try:
                done.append((job, self._step(row, [job])))
            except Exception as error:
                job.fail(_failure(error, "the next token could not be computed"))
        for row in reversed(range(len(self.speaking))):
            if self.speaking[row].ended:
                self._leave(row)
        for job, logits in done:
            self._told([job], logits)


_WORTH_KEEPING = 32
"""Positions from which a prompt's keys and values are kept."""


def _is_oom(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def closed() -> EngineError:
    return EngineError("the engine is closed", remedy="Open it again with open_engine")


def _failure(error: Exception, what: str) -> InternVLError:
    if isinstance(error, InternVLError):
        return error
    if _is_oom(error):
        return EngineError(
            "out of memory, with nothing else running",
            remedy="Use fewer tiles, precision='int8', or a smaller model",
        )
    failure = EngineError(f"{what} ({type(error).__name__}: {error})", remedy="Leave this request out")
    failure.__cause__ = error
    return failure
