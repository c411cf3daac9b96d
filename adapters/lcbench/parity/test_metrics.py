"""ROUGE by rouge-score, F1 and exact match by the SQuAD evaluator's Python, on fresh pairs of odd texts, to 1e-9."""

import json
import pathlib
import tempfile
import unittest

import metrics
from engine import Engine, rng


class Metrics(unittest.TestCase):
    def test_scores(self):
        random = rng("pairs")
        pairs = []
        for n in range(500):
            reference = metrics.text(random, 24)
            if n % 3 == 0:
                prediction = metrics.text(random, 24)
            else:
                prediction = "".join(c for c in reference if random.random() < 0.97) + metrics.text(random, 4)
            pairs.append([prediction, reference])
        with Engine() as engine, tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "pairs.json").write_text(json.dumps(pairs))
            engine.ask("score", pairs=folder / "pairs.json", outputs=folder / "scores.json")
            ours = json.loads((folder / "scores.json").read_text())
        self.assertEqual(len(ours), len(pairs))
        for (prediction, reference), (paper, official, f1, exact) in zip(pairs, ours):
            theirs = [
                *metrics.paper_rouge(prediction, reference), *metrics.rouge(prediction, reference), metrics.f1(prediction, reference),
                float(metrics.normalize(prediction) == metrics.normalize(reference)),
            ]
            for a, b in zip([*paper, *official, f1, exact], theirs):
                self.assertAlmostEqual(a, b, delta=1e-9, msg=f"{prediction!r} for {reference!r}")


if __name__ == "__main__":
    unittest.main()
