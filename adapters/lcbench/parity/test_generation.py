"""Greedy generation, token for token what transformers generates."""

import pathlib
import tempfile
import unittest

import torch
from safetensors.torch import save_file

import fresh
from engine import Engine, rng

# Where the two best tokens of transformers are closer than this, rounding decides, and either is right.
TIE = 1e-5


class Generation(unittest.TestCase):
    def test_equal_token_for_token(self):
        torch.set_num_threads(1)
        ended, stopped = 0, 0
        with Engine() as engine, tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for n in range(24):
                random = rng(f"generate {n}")
                model = (fresh.led(random) if n % 2 == 0 else fresh.bigbird(random)).eval()
                # Random models hardly ever end a text: some are made to.
                model.final_logits_bias[0, model.config.eos_token_id] += random.choice([0.0, 2.0, 3.0, 4.0, 6.0])
                inputs = fresh.batch(random, model, random.randrange(60, 300), random.randrange(1, 5), padded=True)
                longest = random.randrange(2, 38)
                limits = dict(
                    max_length=longest, min_length=min(longest, random.choice([0, 3, 10])),
                    no_repeat_ngram_size=random.choice([0, 1, 2, 2, 3]))
                with self.subTest(n=n, model=model.config.model_type, **limits):
                    model.save_pretrained(folder)
                    save_file(inputs, folder / "batch.safetensors")
                    engine.ask("load", weights=folder, train_only=True)
                    ours = engine.ask("generate", batch=folder / "batch.safetensors", **limits)["ids"]
                    source = {k: v for k, v in inputs.items() if k != "labels"}
                    theirs = model.generate(
                        **source, num_beams=1, do_sample=False, output_scores=True, return_dict_in_generate=True, **limits)
                    for row, ids in enumerate(theirs.sequences.tolist()):
                        ids = self.until_end(ids[1:], model.config.eos_token_id)
                        ended += ids[-1] == model.config.eos_token_id and len(ids) < limits["max_length"] - 1
                        stopped += ids[-1] != model.config.eos_token_id
                        self.same(ours[row], ids, [scores[row] for scores in theirs.scores])
        self.assertGreater(ended, 5)
        self.assertGreater(stopped, 5)

    def until_end(self, ids, eos):
        return ids[: ids.index(eos) + 1] if eos in ids else ids

    def same(self, ours, theirs, scores):
        if ours == theirs:
            return
        at = next(i for i in range(len(theirs) + 1) if ours[:i + 1] != theirs[:i + 1])
        best = scores[at].topk(2).values
        self.assertLess((best[0] - best[1]).item(), TIE, f"at {at}: {ours} is not {theirs}")


if __name__ == "__main__":
    unittest.main()
