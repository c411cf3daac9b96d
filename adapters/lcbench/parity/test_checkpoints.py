"""What transformers and torch write, loads in lcbench in every form and under every tied name; what lcbench writes, loads in
transformers. Logits must be the same to the last bit: loading computes nothing."""

import pathlib
import shutil
import tempfile
import unittest

import torch
from safetensors.torch import load_file, save_file

import fresh
from engine import Engine, rng

TIED = {
    "led": ["led.shared.weight", "led.encoder.embed_tokens.weight", "led.decoder.embed_tokens.weight", "lm_head.weight"],
    "bigbird": ["model.shared.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"],
}


class Checkpoints(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.engine = Engine()
        self.addCleanup(self.engine.close)

    def model(self, family):
        random = rng(f"checkpoint {family}")
        model = (fresh.led(random) if family == "led" else fresh.bigbird(random)).eval()
        inputs = fresh.batch(random, model, 200, 2, padded=True)
        save_file(inputs, self.folder / "batch.safetensors")
        return model, inputs

    def logits(self, weights):
        out = self.folder / "out.safetensors"
        self.engine.ask("load", weights=weights)
        self.engine.ask("forward", batch=self.folder / "batch.safetensors", outputs=out, training=False)
        # A copy: load_file maps the file, and the next answer is written to the same one.
        return load_file(out)["logits"].clone()

    def form(self, model, name):
        folder = self.folder / name
        folder.mkdir()
        model.config.save_pretrained(folder)
        return folder

    def test_every_form_loads(self):
        for family in TIED:
            model, _ = self.model(family)
            whole = self.folder / f"{family} whole"
            model.save_pretrained(whole)
            expected = self.logits(whole)
            sharded = self.folder / f"{family} sharded"
            model.save_pretrained(sharded, max_shard_size="20KB")
            self.assertGreater(len(list(sharded.glob("model-*.safetensors"))), 2)
            forms = [sharded]
            for zipped in (True, False):
                folder = self.form(model, f"{family} bin {zipped}")
                torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
                forms.append(folder)
            state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            for kept in TIED[family]:
                one = {name: tensor for name, tensor in state.items() if name not in TIED[family] or name == kept}
                self.assertEqual(len(one), len(state) - 3)
                folder = self.form(model, f"{family} {kept}")
                save_file(one, folder / "model.safetensors", metadata={"format": "pt"})
                forms.append(folder)
                folder = self.form(model, f"{family} bin {kept}")
                torch.save(one, folder / "pytorch_model.bin")
                forms.append(folder)
            for folder in forms:
                with self.subTest(form=folder.name):
                    self.assertTrue(torch.equal(self.logits(folder), expected))
            # So that this can fail: other weights, other logits.
            with torch.no_grad():
                model.final_logits_bias.add_(1.0)
            other = self.folder / f"{family} other"
            model.save_pretrained(other)
            self.assertFalse(torch.equal(self.logits(other), expected))

    def test_ours_loads_in_transformers(self):
        for family in TIED:
            with self.subTest(family=family):
                model, inputs = self.model(family)
                first, second = self.folder / f"{family} theirs", self.folder / f"{family} ours"
                model.save_pretrained(first)
                self.engine.ask("load", weights=first)
                self.engine.ask("save", folder=second)
                again, about = type(model).from_pretrained(second, output_loading_info=True, attn_implementation="eager")
                problems = {key: value for key, value in about.items() if value}
                self.assertEqual(problems, {})
                with torch.no_grad():
                    expected, found = (m.eval()(**inputs).logits for m in (model, again))
                self.assertTrue(torch.equal(found, expected))
                # And after training, ours still says what it says.
                recipe = dict(lr=1e-2, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0, warmup=0, steps=3)
                self.engine.ask("train", batch=self.folder / "batch.safetensors", recipe=recipe)
                trained = self.folder / f"{family} trained"
                self.engine.ask("save", folder=trained)
                again = type(model).from_pretrained(trained, attn_implementation="eager").eval()
                self.engine.ask("load", weights=trained, train_only=True)
                out = self.folder / "trained.safetensors"
                self.engine.ask("forward", batch=self.folder / "batch.safetensors", outputs=out, training=False)
                with torch.no_grad():
                    theirs = again(**inputs).logits
                self.assertLess((theirs - load_file(out)["logits"]).abs().max().item(), 2e-5)
                self.assertGreater((theirs - expected).abs().max().item(), 1e-2)


if __name__ == "__main__":
    unittest.main()
