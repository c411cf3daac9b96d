"""Golden vectors for LED: what HuggingFace transformers computes on tiny random configurations.

    python -m venv V && V/bin/pip install torch==2.11.0 transformers numpy safetensors
    V/bin/python goldens/led.py tests/goldens/led

Writes one folder: `config.json` and `model.safetensors` (weights shared by all cases, fp32), one `CASE.safetensors` per case (inputs,
logits, loss, encoder output, every gradient) and `training.json` (losses and gradient norms of five optimizer steps).
Dropout is 0: random streams of fused kernels differ, so only the arithmetic is compared. Eager attention in fp64 (its softmax
stays fp32), stored as fp32, so that the comparison measures the rounding of one program, not of two.
"""

import json
import math
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import LEDConfig, LEDForConditionalGeneration

VOCAB, PAD, BOS, EOS = 67, 1, 0, 2
CONFIG = dict(
    vocab_size=VOCAB, d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=2,
    encoder_ffn_dim=48, decoder_ffn_dim=40, max_encoder_position_embeddings=160, max_decoder_position_embeddings=24,
    attention_window=[16, 16], dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, init_std=0.1,
    pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS, decoder_start_token_id=EOS,
)

# name: (attention_window, source length S, lengths of the rows, global positions per row, target lengths out of T)
CASES = {
    "full": ([16, 16], 64, [64, 64], [[0], [0]], 12, [12, 12]),  # no padding, whole blocks, every label counts
    "padded": ([16, 16], 96, [96, 41], [[0], [0]], 12, [12, 5]),  # padding in one row, -100 labels
    "ragged": (16, 71, [71, 70], [[0], [0]], 9, [9, 8]),  # S is no multiple of the window; window as an integer
    "windows": ([8, 32], 80, [80, 23], [[0], [0]], 10, [3, 10]),  # another window in each layer
    "global": ([16, 16], 80, [80, 60], [[0, 1, 17, 40, 79], [0, 33]], 8, [8, 8]),  # several global tokens, unequal numbers
    "local": ([16, 16], 64, [64, 50], [[], []], 8, [8, 6]),  # no global token at all
}


def build(window):
    config = LEDConfig(**{**CONFIG, "attention_window": window})
    config._attn_implementation = "eager"
    return LEDForConditionalGeneration(config)


def randomise(model, seed):
    """Weights far from their initial values: biases and norms that matter, attention that is not flat."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.1 * noise)
            elif name.endswith("bias"):
                p.copy_(0.1 * noise)
            else:
                p.copy_(noise * (0.5 if "embed" in name or "shared" in name else 1.5 / math.sqrt(p.shape[-1])))
        model.final_logits_bias.copy_(0.1 * torch.randn(model.final_logits_bias.shape, generator=generator))


def batch(case, seed):
    window, source, lengths, positions, target, target_lengths = case
    generator = torch.Generator().manual_seed(seed)
    rows = len(lengths)
    ids = torch.randint(4, VOCAB, (rows, source), generator=generator)
    labels = torch.randint(4, VOCAB, (rows, target), generator=generator)
    mask, global_mask = torch.ones_like(ids), torch.zeros_like(ids)
    for row in range(rows):
        ids[row, lengths[row]:], mask[row, lengths[row]:] = PAD, 0
        labels[row, target_lengths[row]:] = -100
        global_mask[row, positions[row]] = 1
    return dict(input_ids=ids, attention_mask=mask, global_attention_mask=global_mask, labels=labels)


# transformers masks with float64's lowest number and casts to fp32 for the softmax, where that is -inf: pad queries out of reach of
# every key become NaN and spoil the gradients. Cases that have such rows are computed in fp32.
FP32 = {"global", "local"}


def forward(model, inputs):
    return model(**inputs)


def case_file(weights, name, case, folder):
    model = build(case[0]).to(torch.float32 if name in FP32 else torch.float64)
    model.load_state_dict(weights)
    model.train()
    inputs = batch(case, seed=len(name))
    out = forward(model, inputs)
    out.loss.backward()
    tensors = {k: v.to(torch.int32) for k, v in inputs.items()}
    tensors["window"] = torch.tensor(model.config.attention_window if isinstance(case[0], list) else [case[0]], dtype=torch.int32)
    tensors["logits"], tensors["loss"] = out.logits.detach(), out.loss.detach().reshape(1)
    tensors["encoder"] = out.encoder_last_hidden_state.detach()
    for key, p in model.named_parameters():
        if p.grad is not None:  # without a global token its projections take no part
            tensors["grad." + key] = p.grad
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point()), name
    narrow = lambda t: t.to(torch.float32) if t.is_floating_point() else t
    save_file({k: narrow(v).contiguous() for k, v in tensors.items()}, folder / f"{name}.safetensors")


class Adam411(torch.optim.Optimizer):
    """The AdamW of transformers 4.11: eps added to sqrt(v) before bias correction, decay after the step."""

    def __init__(self, groups, lr, betas, eps):
        super().__init__(groups, dict(lr=lr, betas=betas, eps=eps, weight_decay=0.0))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                s["t"] += 1
                s["m"].mul_(b1).add_(p.grad, alpha=1 - b1)
                s["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                size = group["lr"] * math.sqrt(1 - b2 ** s["t"]) / (1 - b1 ** s["t"])
                p.addcdiv_(s["m"], s["v"].sqrt().add_(group["eps"]), value=-size)
                if group["weight_decay"]:
                    p.add_(p, alpha=-group["lr"] * group["weight_decay"])


def training(model, inputs, variant, lr=2e-3):
    """Five steps of the recipe (clipping, warm-up, decay groups) at rates large enough for every part of it to show."""
    betas, eps, decay, warmup, steps = (0.9, 0.98), 1e-3, 0.5, 2, 5
    model.train()
    norms = {n + "." + k for n, m in model.named_modules() if isinstance(m, torch.nn.LayerNorm) for k, _ in m.named_parameters()}
    decayed = lambda n: n not in norms and "bias" not in n
    groups = [
        dict(params=[p for n, p in model.named_parameters() if decayed(n)], weight_decay=decay),
        dict(params=[p for n, p in model.named_parameters() if not decayed(n)], weight_decay=0.0),
    ]
    make = {"torch": lambda: torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps), "hf411": lambda: Adam411(groups, lr, betas, eps)}
    optimizer = make[variant]()
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: t / warmup if t < warmup else max(0.0, (steps - t) / (steps - warmup)))
    losses, grad_norms = [], []
    for _ in range(steps + 1):  # the rate of the first step is 0, so six forwards see five updates
        out = forward(model, inputs)
        losses.append(out.loss.item())
        optimizer.zero_grad()
        out.loss.backward()
        grad_norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        schedule.step()
    return dict(lr=lr, betas=betas, eps=eps, weight_decay=decay, warmup=warmup, steps=steps, losses=losses, grad_norms=grad_norms)


def main(folder):
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model = build(CONFIG["attention_window"])
    randomise(model, seed=7)
    weights = model.state_dict()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for name, case in CASES.items():
        case_file(weights, name, case, folder)
    result = {}
    for variant in ("torch", "hf411"):
        model = build(CONFIG["attention_window"]).double()
        model.load_state_dict(weights)
        result[variant] = training(model, batch(CASES["padded"], seed=6), variant)
    result["made_with"] = dict(torch=torch.__version__, transformers=transformers.__version__)
    (folder / "training.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
