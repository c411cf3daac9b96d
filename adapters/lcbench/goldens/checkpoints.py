"""Writes tests/data/checkpoints: one tiny LED in every form that transformers and torch write, and odd files beside it.

Run in a venv with torch 2.11.0 and transformers:  python adapters/lcbench/goldens/checkpoints.py
"""

import hashlib
import json
import os
import pathlib
import shutil

import torch
from transformers import LEDConfig, LEDForConditionalGeneration

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "checkpoints"


class Hostile:
    """Unpickling it would run a command; the reader has to refuse it by name."""

    def __reduce__(self):
        return (os.system, ("true",))


def digests(state):
    """By name: shape, and SHA-256 of the values as little-endian float32."""
    out = {}
    for name, tensor in sorted(state.items()):
        values = tensor.detach().to(torch.float32).contiguous().numpy().astype("<f4").tobytes()
        out[name] = f"{list(tensor.shape)} {hashlib.sha256(values).hexdigest()}"
    return out


def save_both_forms(state, name):
    for form, zipped in (("zip", True), ("legacy", False)):
        folder = OUT / f"{name}-{form}"
        folder.mkdir(parents=True)
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    torch.manual_seed(0)
    config = LEDConfig(
        vocab_size=20, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=8, decoder_ffn_dim=8, max_encoder_position_embeddings=16, max_decoder_position_embeddings=8,
        attention_window=[4],
    )
    model = LEDForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    state = model.state_dict()
    (OUT / "led.json").write_text(json.dumps(digests(state), indent=0) + "\n")

    # safetensors: whole, and in shards.
    model.save_pretrained(OUT / "led-safetensors")
    model.save_pretrained(OUT / "led-shards", max_shard_size="6KB")
    # pytorch_model.bin: all four tied names, one storage.
    save_both_forms(state, "led")
    # pytorch_model.bin in shards, as transformers 4 wrote them.
    names = list(state)
    folder = OUT / "led-bin-shards"
    folder.mkdir()
    weight_map = {}
    for n, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), start=1):
        shard = f"pytorch_model-{n:05}-of-00002.bin"
        torch.save({name: state[name] for name in part}, folder / shard)
        weight_map.update({name: shard for name in part})
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=0))

    # Kinds, strides, offsets, shared storages, no elements, no dimensions.
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    odd = {
        "transposed": base.t(),
        "inner": base[1:3, 2:5],
        "every_other": base.flatten()[1::2],
        "expanded": torch.tensor([1.5, -2.5]).unsqueeze(1).expand(2, 3),
        "half": torch.tensor([1.0, 0.333, 65504.0]).half(),
        "bfloat16": torch.tensor([1.0, 0.333, 3e38]).bfloat16(),
        "double": torch.tensor([0.1, 1e300, float("inf")], dtype=torch.float64),
        "long": torch.tensor([[-1, 2**40]]),
        "int": torch.tensor([7, -8], dtype=torch.int32),
        "scalar": torch.tensor(3.25),
        "empty": torch.zeros(0, 5),
    }
    save_both_forms(odd, "odd")
    (OUT / "odd.json").write_text(json.dumps(digests(odd), indent=0) + "\n")

    save_both_forms({"weight": torch.zeros(2), "extra": Hostile()}, "hostile")
    # Two names of the tied tensor that are not tied.
    torch.save({**state, "lm_head.weight": state["lm_head.weight"] + 1}, OUT / "untied.bin")

    # transformers' own card and generation settings say nothing about weights.
    for file in OUT.glob("*/generation_config.json"):
        file.unlink()


if __name__ == "__main__":
    main()
