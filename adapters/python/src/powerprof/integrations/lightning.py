"""Phases of Lightning, as ``lightning`` or as ``pytorch_lightning``:

    from powerprof.integrations.lightning import PowerprofCallback
    trainer = Trainer(..., callbacks=[PowerprofCallback()])

``train``, ``validate``, ``test`` and ``infer``, each with ``step``; inside a training step ``forward``, ``backward`` and
``optimizer``; the check before training as ``sanity-check``; logged numbers as metrics. Samples are the first dimension of the
batch, where it has one; the rank is the trainer's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Mapping, Optional

from .. import metric, set_rank
from ._open_spans import OpenSpans

__all__ = ["PowerprofCallback"]


class _Hooks:
    """The hooks of ``Callback`` that edges of phases can be told from, in the order in which they are called."""

    def __init__(self, metrics: bool = True) -> None:
        """``metrics``: whether to send the numbers that the module logs, at the end of each validation and of the training."""
        self._spans = OpenSpans()
        self._metrics = metrics

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        set_rank(trainer.global_rank)

    def on_sanity_check_start(self, trainer: Any, pl_module: Any) -> None:
        self._spans.begin("sanity-check")

    def on_sanity_check_end(self, trainer: Any, pl_module: Any) -> None:
        self._spans.end("sanity-check")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._spans.begin("train")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._spans.begin("step", inside="train", index=trainer.global_step)
        self._spans.begin("forward", inside="step")

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        self._spans.begin("backward", inside="step")

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        self._spans.end("backward")

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        # Nothing is called after the optimizer: it ends with its step, or with the next optimizer's forward or backward.
        self._spans.begin("optimizer", inside="step")

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._spans.end("step", batch_size(batch))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._send_metrics(trainer)
        self._spans.end("train")

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._begin_loop("validate")

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._spans.begin("step", inside="validate", index=batch_idx)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._spans.end("step", batch_size(batch))

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self._send_metrics(trainer)
        self._spans.end("validate")

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        self._begin_loop("test")

    def on_test_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._spans.begin("step", inside="test", index=batch_idx)

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._spans.end("step", batch_size(batch))

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        self._send_metrics(trainer)
        self._spans.end("test")

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        self._begin_loop("infer")

    def on_predict_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._spans.begin("step", inside="infer", index=batch_idx)

    def on_predict_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._spans.end("step", batch_size(batch))

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        self._spans.end("infer")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._spans.end_all()

    def _begin_loop(self, name: str) -> None:
        inside = next((outer for outer in ("sanity-check", "train") if outer in self._spans), None)
        self._spans.begin(name, inside=inside)

    def _send_metrics(self, trainer: Any) -> None:
        if self._metrics and trainer.is_global_zero:
            for name, value in trainer.callback_metrics.items():
                metric(name, value)


def batch_size(batch: Any) -> Optional[int]:
    """The first dimension of the first array in the batch; ``None`` where there is none, rather than a guess."""
    shape = getattr(batch, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) > 0 else None
    if isinstance(batch, Mapping):
        parts = iter(batch.values())
    elif isinstance(batch, (list, tuple)):
        parts = iter(batch)
    else:
        return None
    return next((size for size in map(batch_size, parts) if size is not None), None)


def _base() -> Any:
    """``Callback`` of the package that the program uses: the two have different ones. Both loaded, or none: the newer name."""
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        from pytorch_lightning import Callback
    else:
        try:
            from lightning.pytorch import Callback
        except ModuleNotFoundError:
            from pytorch_lightning import Callback
    return Callback


if TYPE_CHECKING:

    class PowerprofCallback(_Hooks):
        """A ``Callback`` of Lightning."""

else:

    def __getattr__(name: str) -> Any:
        if name != "PowerprofCallback":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        callback = type(name, (_Hooks, _base()), {"__doc__": __doc__, "__module__": __name__})
        globals()[name] = callback  # made once, and found here by pickle
        return callback
