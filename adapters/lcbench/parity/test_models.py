"""Encoder output, logits, loss, every gradient and five training steps against transformers, on fresh random models.

transformers computes in fp64 (its softmax stays fp32), so that the comparison measures the rounding of one program; where its masks
overflow there (goldens/led.py says when), in fp32.
"""

import math
import pathlib
import tempfile
import unittest

import torch
from safetensors.torch import load_file, save_file

import fresh
from engine import Engine, rng
from led import training

LOGITS = 2e-5  # absolute
LOSS = 1e-6  # relative
GRADIENT = 1e-5  # relative to the tensor's largest
NOISE = 1e-6  # of the largest gradient of all: gradients that are 0 in exact arithmetic are noise in both
FIVE_STEPS = 1e-5  # relative


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.engine = Engine()

    @classmethod
    def tearDownClass(cls):
        cls.engine.close()

    def compare(self, model, inputs, training_mode=True, train_only=True, fp32=False):
        """`training_mode` is transformers'; without `train_only` ours evaluates as it trains."""
        ours_trains = training_mode and train_only
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            model.float().save_pretrained(folder)
            save_file(inputs, folder / "batch.safetensors")
            self.engine.ask("load", weights=folder, train_only=train_only)
            self.engine.ask("forward", batch=folder / "batch.safetensors", outputs=folder / "out.safetensors", training=ours_trains)
            ours = load_file(folder / "out.safetensors")
        model.train(training_mode)
        model = model.float() if fp32 else model.double()
        model.zero_grad()
        out = model(**inputs)
        for row, length in enumerate(inputs["attention_mask"].sum(1).tolist()):
            self.close(ours["encoder"][row, :length], out.encoder_last_hidden_state[row, :length], LOGITS, f"encoder row {row}")
        self.close(ours["logits"], out.logits, LOGITS, "logits")
        self.close(ours["loss"], out.loss.reshape(1), LOSS * out.loss.item(), "loss")
        if not ours_trains:
            return
        out.loss.backward()
        theirs = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        floor = NOISE * max(g.abs().max().item() for g in theirs.values())
        self.assertGreater(len(theirs), 30)
        for name, gradient in theirs.items():
            allowed = max(GRADIENT * gradient.abs().max().item(), floor)
            # A gradient that is exactly 0 is not computed.
            self.close(ours.get("grad." + name, torch.zeros_like(gradient)), gradient, allowed, f"gradient of {name}")

    def close(self, ours, theirs, allowed, what):
        self.assertEqual(ours.shape, theirs.shape, what)
        self.assertTrue(theirs.isfinite().all(), f"transformers' {what} is not finite")
        off = (ours.double() - theirs.double()).abs().max().item()
        self.assertLessEqual(off, allowed, what)

    def test_led(self):
        kinds = [  # window, rows, padded, global tokens
            ("int", 1, False, "first"), ("list", 2, True, "first"), ("list", 3, True, "first"), ("int", 2, False, "first"),
            ("list", 2, True, "several"), ("int", 2, False, "several"), ("int", 2, True, "none"), ("list", 1, False, "none"),
        ]
        for n, (window, rows, padded, globals_) in enumerate(kinds * 2):
            random = rng(f"led {n}")
            # Sources shorter than the windows, of any length, and longer than strips of 64 queries and their windows.
            source = random.choice([random.randrange(20, 70), random.randrange(70, 200), random.randrange(200, 600)])
            with self.subTest(n=n, window=window, rows=rows, padded=padded, globals=globals_, source=source):
                model = fresh.led(random, window)
                inputs = fresh.batch(random, model, source, rows, padded, globals_, ignored=n % 2 == 0)
                self.compare(model, inputs, fp32=globals_ != "first")

    def test_bigbird(self):
        for n in range(12):
            random = rng(f"bigbird {n}")
            model = fresh.bigbird(random)
            shortest = (5 + 2 * model.config.num_random_blocks) * model.config.block_size
            kind = ["whole", "ragged", "short"][n % 3]
            source = {
                "whole": shortest + model.config.block_size * random.randrange(1, 8),
                "ragged": shortest + random.randrange(1, 100),
                "short": random.randrange(20, shortest + 1),
            }[kind]
            rows = random.randrange(1, 4)
            with self.subTest(n=n, kind=kind, source=source, rows=rows):
                inputs = fresh.batch(random, model, source, rows, padded=n % 2 == 0, ignored=n % 4 < 2)
                self.compare(model, inputs)
                if kind == "short":
                    continue  # seeing everything is the same in both modes, and transformers would stay in it
                self.compare(model, inputs, training_mode=False)
                # Random blocks in evaluation too, as before 4.30: what transformers does in training.
                self.compare(model, inputs, train_only=False)

    def test_bigbird_at_the_lengths_with_a_table_of_their_own(self):
        random = rng("bigbird 1024")
        changes = dict(block_size=64, max_position_embeddings=4096, num_random_blocks=3, d_model=16, encoder_layers=2)
        for source in (704, 1024, 2048):
            with self.subTest(source=source):
                model = fresh.bigbird(random, **changes)
                self.compare(model, fresh.batch(random, model, source, 1, padded=False))

    def test_five_training_steps(self):
        cases = [("led", "torch"), ("led", "hf411"), ("bigbird", "torch"), ("bigbird", "hf411")]
        for family, variant in cases:
            random = rng(f"steps {family} {variant}")
            model = fresh.led(random) if family == "led" else fresh.bigbird(random)
            inputs = fresh.batch(random, model, random.randrange(150, 250), 2, padded=True)
            with self.subTest(family=family, variant=variant), tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                model.save_pretrained(folder)
                save_file(inputs, folder / "batch.safetensors")
                theirs = training(model.double(), inputs, variant)
                recipe = {k: theirs[k] for k in ("lr", "betas", "eps", "weight_decay", "warmup", "steps")}
                self.engine.ask("load", weights=folder)
                ours = self.engine.ask("train", batch=folder / "batch.safetensors", recipe={**recipe, "hf411": variant == "hf411"})
                for what in ("losses", "norms"):
                    key = {"losses": "losses", "norms": "grad_norms"}[what]
                    self.assertEqual(len(ours[what]), 6)
                    for step, (a, b) in enumerate(zip(ours[what], theirs[key])):
                        self.assertTrue(math.isclose(a, b, rel_tol=FIVE_STEPS), f"{what} at step {step}: {a} and {b}")
                self.assertNotEqual(theirs["losses"][0], theirs["losses"][5])


if __name__ == "__main__":
    unittest.main()
