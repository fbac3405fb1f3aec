"""The thread that owns one copy of the model: schedule, run, postprocess, one step after the other."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from collections.abc import Sequence as Sequences

import torch

from internvl_llm.engines.base import engine_closed
from internvl_llm.engines.transformers import guidance
from internvl_llm.engines.transformers.model_runner import ModelRunner, is_oom
from internvl_llm.engines.transformers.sampling import logprobs
from internvl_llm.engines.transformers.scheduler import Scheduler, WaitingQueue
from internvl_llm.engines.transformers.sequence import Sequence
from internvl_llm.errors import EngineError, InternVLError
from internvl_llm.events import TokenLogprob


class EngineCore:
    """Advances all its sequences together, token by token; they join and leave between two steps.

    `end_tokens` end a turn, `suppressed_tokens` are never said.
    """

    def __init__(
        self,
        runner: ModelRunner,
        waiting: WaitingQueue,
        decode: Callable[[int], str],
        *,
        end_tokens: frozenset[int],
        suppressed_tokens: tuple[int, ...],
    ) -> None:
        self.runner = runner
        self.scheduler = Scheduler(
            waiting, max_batch=runner.config.max_batch, kv_tokens=runner.config.kv_tokens
        )
        self.decode = decode
        self.end_tokens = end_tokens
        self.suppressed_tokens = suppressed_tokens
        self._suppressed = torch.tensor(suppressed_tokens, device=runner.model.lm_head.weight.device)
        self.thread = threading.Thread(target=self._run, name="internvl-engine", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Once the queue is closed: wait for the thread, and let go of the model."""
        if self.thread is not threading.current_thread():
            self.thread.join()
        self.runner.unload()

    def _run(self) -> None:
        waiting = self.scheduler.waiting
        with torch.inference_mode():
            while not waiting.closed:
                if self.scheduler.idle:
                    self.runner.cache.shrink()
                    waiting.wait()
                try:
                    self._step()
                except BaseException as error:  # nothing may leave callers waiting for ever
                    for sequence in self.scheduler.clear() if not waiting.closed else ():
                        sequence.fail(EngineError(f"the engine stumbled ({error!r})", remedy="Ask again"))
        for sequence in self.scheduler.clear():
            sequence.fail(engine_closed())

    def _step(self) -> None:
        scheduler = self.scheduler
        self._drop_cancelled()
        if (admitted := scheduler.admit()) is not None:
            self._begin(admitted)
        if scheduler.prefilling is not None:
            self._prefill(scheduler.prefilling)
        if scheduler.running:
            self._decode()

    def _drop_cancelled(self) -> None:
        scheduler = self.scheduler
        for row in reversed(range(len(scheduler.running))):
            if scheduler.running[row].cancelled:
                scheduler.running[row].finish("cancelled")
                self._remove(row)
        if scheduler.prefilling is not None and scheduler.prefilling.cancelled:
            scheduler.prefilling.finish("cancelled")
            scheduler.prefilling = None

    # Prefill: the prompt, in pieces, after what is known of it already.

    def _begin(self, sequence: Sequence) -> None:
        most = self.scheduler.kv_tokens
        if sequence.max_positions > most:
            self.scheduler.prefilling = None
            sequence.fail(
                EngineError(
                    f"{sequence.max_positions:,} tokens of prompt and answer need more memory than there is "
                    f"for {most:,}",
                    remedy="Ask for fewer max_tokens, show less, or raise kv_bytes",
                )
            )
            return
        try:
            layers = self.runner.match_prefix(sequence)
            self._fit(0)
            self.runner.load_prefix(sequence, len(self.scheduler.running), layers)
        except Exception as error:
            self._prefill_failed(sequence, error)

    def _prefill(self, sequence: Sequence) -> None:
        try:
            if self.runner.encode_images(sequence):
                return
            self._fit(min(len(sequence.tokens), sequence.computed + self.runner.config.prefill_chunk))
            logits = self.runner.prefill(sequence, len(self.scheduler.running))
        except Exception as error:
            self._prefill_failed(sequence, error)
            return
        if logits is not None:
            sequence.features.clear()
            self.runner.keep_prefix(sequence, self.scheduler.promote())
            self._postprocess([sequence], logits)

    def _prefill_failed(self, sequence: Sequence, error: Exception) -> None:
        """Out of memory it waits for those that run; alone, it gets one more try with what is freed."""
        if is_oom(error):
            freed, alone = self.runner.free_memory(), not self.scheduler.running
            if not alone or (freed and not sequence.retried):
                sequence.retried = alone
                self.scheduler.preempt_prefill()
                return
        self.scheduler.prefilling = None
        sequence.fail(_failure(error, "the prompt could not be computed"))

    # Decoding: one token for every row.

    def _decode(self) -> None:
        scheduler = self.scheduler
        try:
            self._fit(0)
            logits = self.runner.decode(scheduler.running, 0)
        except Exception as error:
            if is_oom(error):
                self._preempt()
            else:
                self._decode_one_by_one()
            return
        self._postprocess(list(scheduler.running), logits)

    def _decode_one_by_one(self) -> None:
        """A step failed: each row by itself, so that only those at fault do."""
        running = self.scheduler.running
        done: list[tuple[Sequence, torch.Tensor]] = []
        for row, sequence in enumerate(running):
            try:
                done.append((sequence, self.runner.decode([sequence], row)))
            except Exception as error:
                sequence.fail(_failure(error, "the next token could not be computed"))
        for row in reversed(range(len(running))):
            if running[row].finished:
                self._remove(row)
        for sequence, logits in done:
            self._postprocess([sequence], logits)

    def _preempt(self) -> None:
        if self.runner.free_memory() and len(self.scheduler.sequences) == 1:
            return  # again, with what was freed
        alone = self.scheduler.preempt()
        if alone is not None:
            alone.fail(
                EngineError(
                    f"out of memory at {alone.computed:,} tokens, with nothing else running",
                    remedy="Use fewer tiles or max_tokens, precision='int8', or a smaller model",
                )
            )

    # The next token of each, and who leaves.

    def _postprocess(self, sequences: Sequences[Sequence], logits: torch.Tensor) -> None:
        logits[:, self._suppressed.to(logits.device)] = float("-inf")
        unconstrained = self._constrain(sequences, logits)
        best, likeliest = logits.max(-1)
        values, tokens = best.tolist(), likeliest.tolist()
        for row, sequence in enumerate(sequences):
            try:
                if values[row] == -math.inf and sequence.constraint is not None:
                    raise sequence.constraint.failure()
                if not math.isfinite(values[row]):
                    raise EngineError(
                        "the model computed no finite number",
                        remedy="Try dtype='float32', or get its files again",
                    )
                self._append(sequence, tokens[row], logits[row], unconstrained.get(row))
            except Exception as error:
                sequence.fail(_failure(error, "no token could be chosen"))
            if sequence.finished:
                at = self.scheduler.running.index(sequence)
                self.runner.keep_prefix(sequence, at)
                self._remove(at)

    def _constrain(self, sequences: Sequences[Sequence], logits: torch.Tensor) -> dict[int, torch.Tensor]:
        """Forbid what grammars do; the logits of before, where log probabilities are asked for."""
        constrained = [(row, s.constraint) for row, s in enumerate(sequences) if s.constraint is not None]
        if not constrained:
            return {}
        rows, constraints = [row for row, _ in constrained], [constraint for _, constraint in constrained]
        before = {row: logits[row].clone() for row in rows if sequences[row].sampling.logprobs is not None}
        guidance.mask(logits, rows, guidance.allowed(constraints, logits.device))
        return before

    def _append(
        self, sequence: Sequence, likeliest: int, logits: torch.Tensor, unconstrained: torch.Tensor | None
    ) -> None:
        """Log probabilities are of the model's own logits, before a grammar had its say."""
        token, alternatives = likeliest, []
        if not sequence.sampler.plain:
            on_cpu = logits.float().cpu()
            token = sequence.sampler.choose(on_cpu)
            if sequence.sampling.logprobs is not None:
                own = on_cpu if unconstrained is None else unconstrained.float().cpu()
                value, top = logprobs(own, token, sequence.sampling.logprobs)
                others = tuple((self.decode(other), chance) for other, chance in top)
                alternatives = [TokenLogprob(self.decode(token), value, others)]
        sequence.append(token, ends=token in self.end_tokens, logprobs=alternatives)

    def _fit(self, positions: int) -> None:
        self.runner.fit(len(self.scheduler.sequences), self.scheduler.longest(positions))

    def _remove(self, row: int) -> None:
        self.runner.move(self.scheduler.remove(row))


def _failure(error: Exception, what: str) -> InternVLError:
    if isinstance(error, InternVLError):
        return error
    if is_oom(error):
        return EngineError(
            "out of memory, with nothing else running",
            remedy="Use fewer tiles, precision='int8', or a smaller model",
        )
    failure = EngineError(f"{what} ({type(error).__name__}: {error})", remedy="Leave this request out")
    failure.__cause__ = error
    return failure
