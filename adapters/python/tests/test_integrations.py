"""The callbacks: driven by the events as the trainers send them, and inside the real trainers where those are installed."""

from __future__ import annotations

import sys
import types
import unittest
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, Optional
from unittest import mock

from channel import MarkerTest
from powerprof.integrations import lightning, transformers
from powerprof.integrations._open_spans import OpenSpans


def installed(*modules: str) -> bool:
    return all(find_spec(module) is not None for module in modules)


class OpenSpansTest(MarkerTest):
    def test_skipped_edges_leave_nothing_open(self) -> None:
        spans = OpenSpans()
        spans.begin("train")
        spans.begin("step", inside="train", index=0)
        spans.begin("forward", inside="step")
        spans.begin("step", inside="train", index=1)  # the first one's end was never heard
        spans.end("step", 8)
        spans.end("step", 8)  # and this one's begin neither
        spans.begin("validate")
        spans.end_all()
        self.assertEqual(
            self.lines(),
            [
                "begin train",
                "begin step index=0",
                "begin forward",
                "end forward",
                "end step",
                "begin step index=1",
                "end step samples=8",
                "begin validate",
                "end validate",
                "end train",
            ],
        )


class TransformersTest(MarkerTest):
    def test_the_events_of_a_trainer(self) -> None:
        base = types.ModuleType("transformers")
        base.TrainerCallback = type("TrainerCallback", (), {})  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {"transformers": base}):
            transformers.__dict__.pop("PowerprofCallback", None)
            self.addCleanup(transformers.__dict__.pop, "PowerprofCallback", None)
            made = transformers.PowerprofCallback
            self.assertTrue(issubclass(made, base.TrainerCallback))
            self.assertIs(made, transformers.PowerprofCallback)
            callback: Any = made()
        args = SimpleNamespace(train_batch_size=4)
        state = SimpleNamespace(
            global_step=0, is_world_process_zero=True, train_batch_size=2, num_input_tokens_seen=100
        )
        control = SimpleNamespace(should_evaluate=False)
        callback.on_train_begin(args, state, control)
        callback.on_step_begin(args, state, control)
        callback.on_substep_end(args, state, control)
        callback.on_pre_optimizer_step(args, state, control)
        callback.on_optimizer_step(args, state, control)
        state.num_input_tokens_seen, state.global_step, control.should_evaluate = 164, 1, True
        callback.on_step_end(args, state, control)
        callback.on_epoch_end(args, state, control)
        callback.on_log(args, state, control, logs={"loss": 0.5, "note": "text"})
        callback.on_evaluate(args, state, control, eval_dataloader=SimpleNamespace(dataset=range(10)))
        callback.on_save(args, state, control)
        callback.on_train_end(args, state, control)
        self.assertEqual(
            self.lines(),
            [
                "begin train",
                "begin step index=0",
                "begin optimizer",
                "end optimizer",
                "end step samples=4 tokens=64",
                "begin validate",
                "metric loss value=0.5",
                "end validate samples=10",
                "mark checkpoint",
                "end train",
            ],
        )

    def test_ranks_after_the_first_do_not_say_what_is_counted_over_all(self) -> None:
        callback = transformers._Events()
        args = SimpleNamespace(train_batch_size=4)
        state = SimpleNamespace(global_step=0, is_world_process_zero=False, num_input_tokens_seen=0)
        control = SimpleNamespace(should_evaluate=True)
        callback.on_train_begin(args, state, control)
        callback.on_step_begin(args, state, control)
        state.num_input_tokens_seen = 64
        callback.on_step_end(args, state, control)
        callback.on_log(args, state, control, logs={"loss": 0.5})
        callback.on_evaluate(args, state, control, eval_dataloader=SimpleNamespace(dataset=range(10)))
        lines = self.lines()
        self.assertEqual(lines[2:], ["end step samples=4", "begin validate", "end validate"])

    @unittest.skipUnless(installed("torch", "transformers", "accelerate"), "transformers, accelerate or torch not installed")
    def test_inside_the_real_trainer(self) -> None:
        self.python(REAL_TRANSFORMERS)
        lines = [line for line in self.lines() if not line.startswith("metric")]
        step = ["begin optimizer", "end optimizer"]
        self.assertEqual(
            lines,
            ["begin train", "begin step index=0", *step, "end step samples=8"]
            + ["begin step index=1", *step, "end step samples=4"]
            + ["begin validate", "end validate samples=10", "mark checkpoint", "end train"],
        )


class LightningTest(MarkerTest):
    def test_the_base_class_is_that_of_the_package_in_use(self) -> None:
        old, new = types.ModuleType("pytorch_lightning"), types.ModuleType("lightning.pytorch")
        for module in (old, new):
            module.Callback = type("Callback", (), {})  # type: ignore[attr-defined]
        parent = types.ModuleType("lightning")
        parent.pytorch = new  # type: ignore[attr-defined]
        self.addCleanup(lightning.__dict__.pop, "PowerprofCallback", None)
        cases: list[tuple[dict[str, Optional[types.ModuleType]], types.ModuleType]] = [
            ({"pytorch_lightning": old}, old),
            ({"pytorch_lightning": old, "lightning": parent, "lightning.pytorch": new}, new),
        ]
        for modules, expected in cases:
            with mock.patch.dict(sys.modules, modules):
                lightning.__dict__.pop("PowerprofCallback", None)
                self.assertTrue(issubclass(lightning.PowerprofCallback, expected.Callback))

    def test_the_size_of_a_batch(self) -> None:
        class Array:
            def __init__(self, *shape: int) -> None:
                self.shape = shape

        for batch, size in (
            (Array(8, 3), 8),
            ((Array(4), Array(4)), 4),
            ({"x": ["a"], "y": {"z": Array(2, 2)}}, 2),
            (Array(), None),
            (["a", "b"], None),
            (5, None),
        ):
            self.assertEqual(lightning.batch_size(batch), size)

    def test_an_exception_closes_everything(self) -> None:
        hooks = lightning._Hooks()
        trainer = SimpleNamespace(global_rank=1, global_step=0)
        hooks.setup(trainer, None, "fit")
        hooks.on_train_start(trainer, None)
        hooks.on_train_batch_start(trainer, None, None, 0)
        hooks.on_exception(trainer, None, KeyError())
        self.assertEqual(
            [line.split(" rank=1")[0] for line in self.lines()],
            ["begin train", "begin step", "begin forward", "end forward", "end step", "end train"],
        )

    def inside_the_real_trainer(self, package: str) -> None:
        self.python(REAL_LIGHTNING.replace("PACKAGE", package))
        lines = [line for line in self.lines() if not line.startswith("metric")]

        def steps(*inside: str) -> list[str]:
            middle = [f"{verb} {name}" for name in inside for verb in ("begin", "end")]
            sizes = enumerate((4, 4, 2))
            return [line for i, n in sizes for line in (f"begin step index={i}", *middle, f"end step samples={n}")]

        check = ["begin sanity-check", "begin validate", "begin step index=0", "end step samples=4"]
        self.assertEqual(
            lines,
            [*check, "end validate", "end sanity-check"]
            + ["begin train", *steps("forward", "backward", "optimizer")]
            + ["begin validate", *steps(), "end validate", "end train"]
            + ["begin infer", *steps(), "end infer"],
        )

    @unittest.skipUnless(installed("torch", "lightning"), "lightning or torch not installed")
    def test_inside_lightning(self) -> None:
        self.inside_the_real_trainer("lightning.pytorch")

    @unittest.skipUnless(installed("torch", "pytorch_lightning"), "pytorch_lightning or torch not installed")
    def test_inside_pytorch_lightning(self) -> None:
        self.inside_the_real_trainer("pytorch_lightning")


#: 10 samples in batches of 4, accumulated by 2, for one epoch: the second step accumulates the last batch alone.
REAL_TRANSFORMERS = """
import tempfile, warnings, torch
from transformers import Trainer, TrainingArguments
from powerprof.integrations.transformers import PowerprofCallback
warnings.simplefilter("ignore")

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)

    def forward(self, x=None, labels=None):
        logits = self.linear(x)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

data = [{"x": torch.zeros(4), "labels": i % 2} for i in range(10)]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder, num_train_epochs=1, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        eval_strategy="epoch", save_strategy="epoch", report_to=[], use_cpu=True, disable_tqdm=True,
    )
    Trainer(
        model=Model(), args=arguments, train_dataset=data, eval_dataset=data, callbacks=[PowerprofCallback()]
    ).train()
"""

REAL_LIGHTNING = """
import warnings, torch
warnings.simplefilter("ignore")
import PACKAGE as pl
warnings.simplefilter("ignore")
from powerprof.integrations.lightning import PowerprofCallback

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)

    def training_step(self, batch, index):
        loss = torch.nn.functional.cross_entropy(self.linear(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log("val", torch.nn.functional.cross_entropy(self.linear(batch[0]), batch[1]))

    def predict_step(self, batch, index):
        return self.linear(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

data = torch.utils.data.TensorDataset(torch.zeros(10, 4), torch.zeros(10, dtype=torch.long))
loader = torch.utils.data.DataLoader(data, batch_size=4)
trainer = pl.Trainer(
    max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
    num_sanity_val_steps=1, callbacks=[PowerprofCallback()],
)
model = Model()
trainer.fit(model, loader, loader)
trainer.predict(model, loader)
"""

if __name__ == "__main__":
    unittest.main()
