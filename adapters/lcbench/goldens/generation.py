"""Golden vectors for greedy generation: what transformers' `generate` gives on the golden models of led.py and bigbird.py.

    V/bin/python goldens/generation.py tests/goldens

Reads FOLDER/led and FOLDER/bigbird, writes FOLDER/generation.json: for each case inputs, limits and the ids of each row. The last
logits bias is raised for the end token, for a random model hardly ever ends a text by itself.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import BigBirdPegasusForConditionalGeneration, LEDForConditionalGeneration

EOS = {"led": 2, "bigbird": 1}
MODELS = {"led": LEDForConditionalGeneration, "bigbird": BigBirdPegasusForConditionalGeneration}

# family, source length, lengths of the rows, raise of the end token's bias, limits
CASES = [
    ("led", 64, [64], 0.0, dict(max_length=24, min_length=3, no_repeat_ngram_size=2)),  # runs to the end of the room
    ("led", 90, [90, 33, 57], 4.0, dict(max_length=24, min_length=3, no_repeat_ngram_size=2)),  # rows end at different lengths
    ("led", 90, [90, 33], 6.0, dict(max_length=20, min_length=12, no_repeat_ngram_size=0)),  # no end before the least length
    ("led", 70, [70, 50], 2.0, dict(max_length=24, min_length=0, no_repeat_ngram_size=3)),
    ("bigbird", 128, [128, 57, 90], 4.0, dict(max_length=40, min_length=3, no_repeat_ngram_size=2)),
    ("bigbird", 101, [101, 90], 0.0, dict(max_length=40, min_length=3, no_repeat_ngram_size=2)),
    ("bigbird", 128, [128, 57], 6.0, dict(max_length=20, min_length=8, no_repeat_ngram_size=1)),
]


def main(folder):
    torch.set_num_threads(1)
    cases = []
    for n, (family, source, lengths, bias, limits) in enumerate(CASES):
        model = MODELS[family].from_pretrained(folder / family, attn_implementation="eager").eval()
        config = model.config
        model.final_logits_bias[0, config.eos_token_id] += bias
        ids = torch.randint(4, config.vocab_size, (len(lengths), source), generator=torch.Generator().manual_seed(n))
        mask = torch.ones_like(ids)
        for row, length in enumerate(lengths):
            ids[row, length:], mask[row, length:] = config.pad_token_id, 0
        inputs = dict(input_ids=ids, attention_mask=mask)
        if family == "led":
            inputs["global_attention_mask"] = torch.zeros_like(ids)
            inputs["global_attention_mask"][:, 0] = 1
        out = model.generate(**inputs, num_beams=1, do_sample=False, **limits).tolist()
        rows = [row[1:] for row in out]  # without the start token, and without what stands behind the end
        rows = [row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row for row in rows]
        cases.append(dict(family=family, ids=ids.tolist(), lengths=lengths, bias=bias, **limits, expected=rows))
    ended = [row[-1] == EOS[case["family"]] for case in cases for row in case["expected"]]
    assert any(ended) and not all(ended), ended
    made = dict(torch=torch.__version__, transformers=transformers.__version__)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (folder / "generation.json").write_text('{"made_with": %s,\n"cases": [\n%s\n]}\n' % (json.dumps(made), lines))



if __name__ == "__main__":
    main(Path(sys.argv[1]))
