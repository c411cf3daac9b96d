"""Fresh random models and batches of both families, small enough for seconds and odd enough to matter."""

import torch
from led import randomise
from transformers import (
    BigBirdPegasusConfig, BigBirdPegasusForConditionalGeneration, LEDConfig, LEDForConditionalGeneration,
)

COMMON = dict(dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, init_std=0.1)
IGNORED = -100


def _sizes(rng):
    heads, decoder_heads = rng.choice([1, 2, 4]), rng.choice([1, 2, 4])
    return dict(
        vocab_size=rng.randrange(40, 120), d_model=rng.choice([16, 32, 48]), encoder_layers=rng.randrange(1, 4),
        decoder_layers=rng.randrange(1, 3), encoder_attention_heads=heads, decoder_attention_heads=decoder_heads,
        encoder_ffn_dim=rng.randrange(20, 70), decoder_ffn_dim=rng.randrange(20, 70), **COMMON)


def led(rng, window="any"):
    """`window`: an integer for all layers, a list with one for each, or any of the two."""
    sizes = _sizes(rng)
    # transformers pads to a multiple of the largest window only, and fails where a smaller one does not divide that.
    windows = [rng.choice([4, 8, 16, 32, 64]) for _ in range(sizes["encoder_layers"])]
    kind = rng.choice(["int", "list"]) if window == "any" else window
    if kind == "int":
        windows = [2 * rng.randrange(2, 33)]
    config = LEDConfig(
        **sizes, attention_window=windows[0] if kind == "int" else windows, max_encoder_position_embeddings=640,
        max_decoder_position_embeddings=40, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2)
    config._attn_implementation = "eager"
    return _built(LEDForConditionalGeneration(config), rng)


def bigbird(rng, **changes):
    sizes = {**_sizes(rng), "block_size": rng.choice([8, 16]), "num_random_blocks": rng.choice([2, 3]), **changes}
    config = BigBirdPegasusConfig(**{
        **sizes, "max_position_embeddings": changes.get("max_position_embeddings", 512), "use_bias": rng.random() < 0.3,
        "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "decoder_start_token_id": 2, **changes})
    config._attn_implementation = "eager"
    return _built(BigBirdPegasusForConditionalGeneration(config), rng)


def _built(model, rng):
    randomise(model, seed=rng.randrange(2**31))
    # The goldens' weights make sharp attention: of models drawn so, one in twenty loses more digits in fp32 than the tolerances
    # have, transformers as much as lcbench. Milder ones can meet them, and a key too many or too few still shows in every digit.
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 2 and "embed" not in name and "shared" not in name:
                p.mul_(0.5)
    return model


def batch(rng, model, source, rows, padded, globals_="first", ignored=True):
    """`globals_`: none, first, or several (unequal numbers in each row); LED only."""
    config = model.config
    target = rng.randrange(4, 16)
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    ids = torch.randint(4, config.vocab_size, (rows, source), generator=generator)
    labels = torch.randint(4, config.vocab_size, (rows, target), generator=generator)
    mask, global_mask = torch.ones_like(ids), torch.zeros_like(ids)
    for row in range(rows):
        # One row at least is full, as the longest of a batch is.
        length = rng.randrange(max(8, source // 4), source) if padded and row > 0 else source
        ids[row, length:], mask[row, length:] = config.pad_token_id, 0
        if ignored:
            labels[row, rng.randrange(1, target + 1):] = IGNORED
        if globals_ == "first":
            global_mask[row, 0] = 1
        elif globals_ == "several":
            global_mask[row, [0] + rng.sample(range(1, length), rng.randrange(1, 5))] = 1
    inputs = dict(input_ids=ids, attention_mask=mask, labels=labels)
    if config.model_type == "led":
        inputs["global_attention_mask"] = global_mask
    return inputs
