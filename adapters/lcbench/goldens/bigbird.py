"""Golden vectors for BigBird-Pegasus: what HuggingFace transformers computes on tiny random configurations.

    python -m venv V && V/bin/pip install torch==2.11.0 transformers numpy safetensors
    V/bin/python goldens/bigbird.py tests/goldens/bigbird

Writes one folder: `config.json` and `model.safetensors` (weights shared by all cases, fp32), one `CASE.safetensors` per case (inputs,
logits, loss, encoder output, every gradient), `training.json` (losses and gradient norms of five optimizer steps) and
`draws.safetensors` (random blocks of the published configuration; numpy's own permutations).
Dropout is 0: random streams of fused kernels differ, so only the arithmetic is compared. Eager attention in fp64, stored as fp32,
so that the comparison measures the rounding of one program, not of two. transformers has random blocks while training only
(since 4.30); before, evaluation had them too, so that the cases in training mode are goldens for both behaviours.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
import transformers
from led import randomise, training
from safetensors.torch import save_file
from transformers import BigBirdPegasusConfig, BigBirdPegasusForConditionalGeneration
from transformers.models.bigbird_pegasus.modeling_bigbird_pegasus import BigBirdPegasusBlockSparseAttention

VOCAB, PAD, EOS, START = 67, 0, 1, 2
CONFIG = dict(
    vocab_size=VOCAB, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=4,
    encoder_ffn_dim=24, decoder_ffn_dim=20, max_position_embeddings=1024, block_size=8, num_random_blocks=3,
    dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, init_std=0.1,
    pad_token_id=PAD, bos_token_id=START, eos_token_id=EOS, decoder_start_token_id=START,
)
FEW = dict(max_position_embeddings=128)  # so that gradients of position tables stay small

# name: (changes to CONFIG, training mode, source length S, lengths of the rows, target length T, target lengths)
CASES = {
    "full": (FEW, True, 96, [96, 96], 12, [12, 12]),  # no padding, whole blocks, every label counts
    "padded": (FEW, True, 128, [128, 57], 12, [12, 5]),  # padding in one row, -100 labels, blocks of padding only
    "ragged": (FEW, True, 101, [101, 90], 9, [9, 8]),  # S is no multiple of the block
    "short": (FEW, True, 85, [85, 33], 10, [10, 3]),  # too short for blocks: all see all
    "dense": ({**FEW, "attention_type": "original_full"}, True, 128, [128, 57], 12, [12, 5]),  # all see all, at any length
    "evaluation": (FEW, False, 128, [128, 57], 12, [12, 5]),  # block 0 four times instead of random blocks
    "whole_evaluation": (FEW, False, 96, [96, 96], 12, [12, 12]),  # the same without padding
    "biased": ({**FEW, "use_bias": True, "scale_embedding": False, "num_random_blocks": 2, "activation_function": "relu"},
               True, 112, [112, 50], 8, [8, 6]),
    "duplicates": (dict(block_size=64), True, 1024, [1024], 6, [6]),  # drawn blocks that are seen anyway
}


def build(changes):
    config = BigBirdPegasusConfig(**{**CONFIG, **changes})
    config._attn_implementation = "eager"
    return BigBirdPegasusForConditionalGeneration(config)


def load(model, weights):
    """Position tables are cut to the model's; what the shared weights lack (biases) stays as drawn."""
    own = model.state_dict()
    for name, value in own.items():
        if name in weights:
            value.copy_(weights[name][: value.shape[0]])
    return [name for name in own if name not in weights]


def batch(case, seed):
    _, _, source, lengths, target, target_lengths = case
    generator = torch.Generator().manual_seed(seed)
    rows = len(lengths)
    ids = torch.randint(3, VOCAB, (rows, source), generator=generator)
    labels = torch.randint(3, VOCAB, (rows, target), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(rows):
        ids[row, lengths[row]:], mask[row, lengths[row]:] = PAD, 0
        labels[row, target_lengths[row]:] = -100
    return dict(input_ids=ids, attention_mask=mask, labels=labels)


def case_file(weights, name, case, folder):
    model = build(case[0]).double()
    randomise(model, seed=11)
    extra = load(model, weights)
    model.train(case[1])
    inputs = batch(case, seed=case[2])
    out = model(**inputs)
    out.loss.backward()
    tensors = {k: v.to(torch.int32) for k, v in inputs.items()}
    tensors["training"] = torch.tensor([int(case[1])], dtype=torch.int32)
    tensors["logits"], tensors["loss"] = out.logits.detach(), out.loss.detach().reshape(1)
    tensors["encoder"] = out.encoder_last_hidden_state.detach()
    for key in extra:
        tensors["weight." + key] = model.state_dict()[key]
    for key, p in model.named_parameters():
        used = {"model.encoder.embed_positions.weight": case[2], "model.decoder.embed_positions.weight": case[4]}.get(key, len(p))
        assert not p.grad[used:].any()  # positions behind the text
        tensors["grad." + key] = p.grad[:used]
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point()), name
    narrow = lambda t: t.to(torch.float32) if t.is_floating_point() else t
    save_file({k: narrow(v).contiguous() for k, v in tensors.items()}, folder / f"{name}.safetensors")
    return case[0]


def draw(config, layer, length):
    attention = BigBirdPegasusBlockSparseAttention(config, seed=layer).train()
    block, heads, random = config.block_size, config.encoder_attention_heads, config.num_random_blocks
    numpy.random.seed(layer)
    if length in (1024, 3072, 4096):
        most = config.max_position_embeddings
        blocks = [attention._bigbird_block_rand_mask(most, most, block, block, random, last_idx=1024)[: length // block - 2]
                  for _ in range(heads)]
    else:
        plan = attention._get_rand_attn_plan(length, block, random)
        blocks = attention._bigbird_block_rand_mask_with_head(length, length, block, block, heads, *plan)
    return torch.tensor(numpy.stack(blocks)).to(torch.uint8)


def draws(folder):
    """(heads, blocks - 2, random) of the published configuration, and numpy's permutations of 0..n after one seed."""
    published = BigBirdPegasusConfig(d_model=64)
    tensors = {f"{layer}.{length}": draw(published, layer, length)
               for layer in (0, 5, 15) for length in (768, 1024, 2048, 3072, 4096)}
    small = BigBirdPegasusConfig(**CONFIG)
    small.block_size = 64
    duplicates = draw(small, 0, 1024)
    rows = range(1, 15)
    seen = {r: {0, r - 1, r, r + 1, 15} for r in rows}
    assert any(int(b) in seen[r] for head in duplicates for r, row in zip(rows, head) for b in row), "no duplicate block"
    for seed in (0, 1, 15, 123456789, 2**32 - 1):
        numpy.random.seed(seed)
        lists = [numpy.random.permutation(numpy.arange(n, dtype=numpy.int32)) for n in (0, 1, 2, 3, 11, 62, 1000)]
        tensors[f"permutations.{seed}"] = torch.tensor(numpy.concatenate(lists))
    save_file(tensors, folder / "draws.safetensors")


def main(folder):
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model = build({})
    randomise(model, seed=7)
    weights = model.state_dict()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    changes = {name: case_file(weights, name, case, folder) for name, case in CASES.items()}
    (folder / "cases.json").write_text(json.dumps(changes, indent=1) + "\n")
    draws(folder)
    model = build(FEW).double()
    load(model, weights)
    result = {"torch": training(model, batch(CASES["padded"], seed=CASES["padded"][2]), "torch")}
    result["made_with"] = dict(torch=torch.__version__, transformers=transformers.__version__)
    (folder / "training.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
