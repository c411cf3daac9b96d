"""Phases of HuggingFace ``transformers.Trainer``:

    from powerprof.integrations.transformers import PowerprofCallback
    trainer = Trainer(..., callbacks=[PowerprofCallback()])

``train``, in it ``step`` (with ``optimizer`` inside, where the trainer says when that is) and ``validate``, a mark
``checkpoint`` when one was written, and the logged numbers as metrics. ``trainer.evaluate()`` and ``trainer.predict()`` on their
own announce their end but not their beginning, so wrap those: ``with powerprof.phase("infer"): trainer.predict(...)``.

Samples of a step: batch size times the batches it accumulated, on this rank; the trainer's events do not show the batch, so a
last one that is not full counts as full. Samples of a validation: the size of the data set, said by the first rank. Tokens: what the trainer
counted (``include_num_input_tokens_seen``), of all ranks, said by the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .. import mark, metric
from ._open_spans import OpenSpans

__all__ = ["PowerprofCallback"]


class _Events:
    """The events of ``TrainerCallback`` that edges of phases can be told from."""

    def __init__(self, metrics: bool = True) -> None:
        """``metrics``: whether to send the numbers that the trainer logs."""
        self._spans = OpenSpans()
        self._metrics = metrics
        self._tokens_before = 0
        self._accumulated = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tokens_before = _tokens_seen(state)
        self._spans.begin("train")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._accumulated = 0
        self._spans.begin("step", inside="train", index=state.global_step)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._accumulated += 1  # called after each batch of a step but the last

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._spans.begin("optimizer", inside="step")

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._spans.end("optimizer")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # The trainer may have made the batch smaller than its arguments say (auto_find_batch_size).
        batch_size = getattr(state, "train_batch_size", None) or args.train_batch_size
        tokens_before, self._tokens_before = self._tokens_before, _tokens_seen(state)
        tokens = self._tokens_before - tokens_before if state.is_world_process_zero else 0
        self._spans.end("step", batch_size * (self._accumulated + 1), tokens or None)
        self._begin_validation(control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._begin_validation(control)

    def _begin_validation(self, control: Any) -> None:
        # The trainer evaluates right after these events if they asked for it; there is no event for its beginning.
        if control.should_evaluate and "validate" not in self._spans:
            self._spans.begin("validate", inside="train")

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._spans.end("validate", _size(kwargs.get("eval_dataloader")))
        else:
            self._spans.end("validate")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        mark("checkpoint")

    def on_log(self, args: Any, state: Any, control: Any, logs: Optional[dict[str, Any]] = None, **kwargs: Any) -> None:
        if self._metrics and state.is_world_process_zero:
            for name, value in (logs or {}).items():
                if isinstance(value, (int, float)):
                    metric(name, value)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._spans.end_all()


def _tokens_seen(state: Any) -> int:
    return int(getattr(state, "num_input_tokens_seen", 0) or 0)


def _size(loader: Any) -> Optional[int]:
    """Samples behind a loader, ``None`` for a stream without a length."""
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return None


if TYPE_CHECKING:

    class PowerprofCallback(_Events):
        """A ``transformers.TrainerCallback``."""

else:

    def __getattr__(name: str) -> Any:
        if name != "PowerprofCallback":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from transformers import TrainerCallback

        callback = type(name, (_Events, TrainerCallback), {"__doc__": __doc__, "__module__": __name__})
        globals()[name] = callback  # made once, and found here by pickle
        return callback
