"""Writes tests/data/metrics.json: pairs of texts with their scores by rouge-score and by the SQuAD evaluator's Python.

Run in a venv with rouge-score:  python adapters/lcbench/goldens/metrics.py

The study's ROUGE normalizes as SQuAD does, splits, and hands the lists over; datasets 1.16 makes text of a list by str(). The
official form hands the texts over as they are. Both without a stemmer.
"""

import collections
import json
import pathlib
import random
import re
import string

from rouge_score import rouge_scorer

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "metrics.json"
SCORER = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)


def normalize(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(prediction, reference):
    prediction, reference = normalize(prediction).split(), normalize(reference).split()
    same = sum((collections.Counter(prediction) & collections.Counter(reference)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(prediction), same / len(reference)
    return 2 * precision * recall / (precision + recall)


def rouge(prediction, reference):
    scores = SCORER.score(target=reference, prediction=prediction)
    return [scores[kind].fmeasure for kind in ("rouge1", "rouge2", "rougeL")]


def paper_rouge(prediction, reference):
    return rouge(str(normalize(prediction).split()), str(normalize(reference).split()))


WORDS = (
    "the a an The A AN cat cats Cat's caf\u00e9 na\u00efve theatre another a-list U.S. 3.5 1,000 'quoted' \"said\" end. what? "
    "\u4e2d\u6587 \u0395\u03bb\u03bb\u03ac\u03c2 \u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3 \u0130stanbul \u212aelvin \u00df "
    "\ufb01ne \u00bd \u2167 x\u00b2 the\u0301 a\u093e \u0939\u093f\u0928\u094d\u0926\u0940 an\u200da \u0627\u0644 \U0001f9ea "
    "soft\u00adhyphen zero\u200bwidth b\ue000b \U000e0001tag em\u2014dash \u2026 don't it's \u2019s under_score a_b __ --- "
    "red red fox over lazy dog brown quick jumps"
).split(" ")
SPACES = [" ", " ", " ", " ", "  ", "\n", "\t", "\u00a0", "\u2003", "\x1c", "\x85", "\u2028", "\u3000", "\r\n"]


def text(rng, longest):
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randrange(longest)))


def main():
    rng = random.Random(7)
    pairs = []
    for n in range(200):
        reference = text(rng, 24)
        if n % 3 == 0:
            prediction = text(rng, 24)
        else:
            # Most predictions resemble their reference: words dropped, swapped, added.
            words = re.split(r"(?<=\s)", reference)
            prediction = "".join(w for w in words if rng.random() < 0.8) + text(rng, 4)
        pairs.append([prediction, reference])
    pairs += [["", ""], ["a", "the"], ["same", "same"], ["x", ""], ["", "x"]]
    rows = []
    for prediction, reference in pairs:
        rows.append({
            "prediction": prediction,
            "reference": reference,
            "paper": paper_rouge(prediction, reference),
            "official": rouge(prediction, reference),
            "f1": f1(prediction, reference),
            "exact": float(normalize(prediction) == normalize(reference)),
        })

    # Evaluation of a whole split: rows alone (study), and questions with several references (official).
    mean = lambda values: 100 * sum(values) / len(values)
    paper = [mean([row["paper"][kind] for row in rows]) for kind in range(3)]
    groups = [[n, sorted({n, *rng.sample(range(len(rows)), rng.randrange(1, 4))})] for n in range(0, len(rows), 4)]
    best = lambda score: mean([
        max(score(rows[n]["prediction"], rows[r]["reference"]) for r in references) for n, references in groups
    ])
    official = [best(lambda p, r, kind=kind: rouge(p, r)[kind]) for kind in range(3)]
    geometric = lambda values: (values[0] * values[1] * values[2]) ** (1 / 3)
    summary = {
        "paper": [*paper, geometric(paper), mean([row["f1"] for row in rows]), mean([row["exact"] for row in rows])],
        "official": [*official, geometric(official), best(f1), best(lambda p, r: float(normalize(p) == normalize(r)))],
        "groups": groups,
    }
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text('{"summary": %s,\n"rows": [\n%s\n]}\n' % (json.dumps(summary), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
