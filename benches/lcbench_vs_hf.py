"""One training step and one evaluation of lcbench against HuggingFace transformers, on the same libtorch, in turns.

    scripts/parity-deps.sh && cargo build --release -p lcbench --example verify
    .venv-parity/bin/python benches/lcbench_vs_hf.py [CASE ...] [--pairs N] [--json FILE --markdown FILE]

Each case has a fresh process on either side, both with the same random weights, the same batch, fp32, the same number of threads, and
what each does by default: transformers with its default attention and the fused AdamW that its Trainer takes by default, lcbench as
`lcbench-train` runs, with libtorch's own way of waiting for threads (a short spin, then sleep: a side that is not asked is asleep;
OMP_WAIT_POLICY=PASSIVE makes either side slower, and lcbench on the machine of the table twice as slow). Steps alternate, so that a machine that others use too is as slow for one as for the other: each pair gives
a ratio, and the median of ratios is what counts. Beside the clock's time stands the CPU time of both processes (user and system,
all threads), which does not count waiting for others. Before the timing, the loss of both without dropout must agree to 1e-5.

Peak memory is VmHWM of each process over everything that it did, the loading included. FLOPs are those of the matrix products of the
exact band or blocks, forward once and backward twice; the rate of sgemm is that of a 2048 x 2048 x 2048 product, taken anew
between the pairs, best of all. With --json the figures are merged into FILE by case, and --markdown writes a table of all in it.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "adapters" / "lcbench" / "parity"))
TARGET = 128  # the study's longest output
RECIPE = dict(lr=2e-5, betas=(0.9, 0.98), eps=1e-6, weight_decay=1e-3, warmup=0, steps=1_000_000)

BIGBIRD = dict(encoder_layers=4, decoder_layers=4)
# name: (family, changes to the published configuration, source length, least ratio of training, most memory)
CASES = {
    "led-base-1024": ("led", {}, 1024, 2.0, 0.7),
    "led-base-4096": ("led", {}, 4096, 2.5, 0.7),
    "bigbird-large-4+4-layers-1024": ("bigbird", BIGBIRD, 1024, 1.2, 0.7),
    "bigbird-large-4+4-layers-4096": ("bigbird", BIGBIRD, 4096, 1.4, 0.7),
}


def configuration(case):
    from transformers import BigBirdPegasusConfig, LEDConfig

    family, changes, *_ = CASES[case]
    if family == "led":  # allenai/led-base-16384
        return LEDConfig(**{**dict(
            d_model=768, encoder_layers=6, decoder_layers=6, encoder_attention_heads=12, decoder_attention_heads=12,
            encoder_ffn_dim=3072, decoder_ffn_dim=3072, attention_window=[1024] * 6, dropout=0.1), **changes})
    return BigBirdPegasusConfig(**{**dict(dropout=0.1), **changes})  # its defaults are the published model


def class_of(case):
    from transformers import BigBirdPegasusForConditionalGeneration, LEDForConditionalGeneration

    return LEDForConditionalGeneration if CASES[case][0] == "led" else BigBirdPegasusForConditionalGeneration


def prepare(case, folder):
    """Weights and a batch without padding, for both."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    config = configuration(case)
    class_of(case)(config).save_pretrained(folder)
    length = CASES[case][2]
    ids = torch.randint(110, config.vocab_size - 1, (1, length))
    batch = dict(input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.randint(110, config.vocab_size - 1, (1, TARGET)))
    if CASES[case][0] == "led":
        batch["global_attention_mask"] = torch.zeros_like(ids)
        batch["global_attention_mask"][:, 0] = 1
    save_file(batch, folder / "batch.safetensors")


class Theirs:
    """transformers, in a process of its own that answers requests as `examples/verify` does."""

    def __init__(self, case, folder, threads):
        import torch
        from safetensors.torch import load_file

        torch.set_num_threads(threads)
        torch.manual_seed(2)
        self.torch = torch
        self.model = class_of(case).from_pretrained(folder)
        self.batch = load_file(folder / "batch.safetensors")
        plain = {id(p) for m in self.model.modules() if isinstance(m, torch.nn.LayerNorm) for p in m.parameters()}
        plain |= {id(p) for n, p in self.model.named_parameters() if "bias" in n}
        groups = [
            dict(params=[p for p in self.model.parameters() if id(p) not in plain], weight_decay=RECIPE["weight_decay"]),
            dict(params=[p for p in self.model.parameters() if id(p) in plain], weight_decay=0.0)]
        self.optimizer = torch.optim.AdamW(groups, lr=RECIPE["lr"], betas=RECIPE["betas"], eps=RECIPE["eps"], fused=True)

    def loss(self):
        self.model.eval()
        with self.torch.no_grad():
            return dict(loss=self.model(**self.batch).loss.item())

    def step(self):
        self.model.train()
        start = time.perf_counter()
        loss = self.model(**self.batch).loss
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        end = time.perf_counter()
        return dict(forward=forward - start, backward=backward - forward, optimizer=end - backward, step=end - start, loss=loss.item())

    def evaluate(self):
        self.model.eval()
        start = time.perf_counter()
        with self.torch.no_grad():
            self.model(**self.batch).logits.argmax(-1)
        return dict(seconds=time.perf_counter() - start)

    def sgemm(self):
        a, b = self.torch.ones(2048, 2048), self.torch.ones(2048, 2048)
        out, best = self.torch.empty(2048, 2048), float("inf")
        for _ in range(6):
            start = time.perf_counter()
            self.torch.mm(a, b, out=out)
            best = min(best, time.perf_counter() - start)
        return dict(flops=2 * 2048**3 / best)

    def peak_memory(self):
        line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
        return dict(bytes=int(line.split()[1]) * 1024)

    def serve(self):
        print(json.dumps({}), flush=True)
        for line in sys.stdin:
            print(json.dumps(getattr(self, json.loads(line)["do"])()), flush=True)


class Child:
    def __init__(self, case, folder, threads):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", case, str(folder), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"})
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"transformers' side ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, do):
        self.process.stdin.write(json.dumps(dict(do=do)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu_seconds(pid):
    """User and system time of a process so far, all threads (proc_pid_stat(5), fields 14 and 15)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(process, ask):
    """The answer, with the CPU time that it took beside it."""
    before = cpu_seconds(process.pid)
    answer = ask()
    return dict(answer, cpu=cpu_seconds(process.pid) - before)


def flops(case):
    """Of one training step: products of the exact band or blocks alone, no more than the definition asks for."""
    config = configuration(case)
    length, d, t = CASES[case][2], config.d_model, TARGET
    ffn, layers, decoders = config.encoder_ffn_dim, config.encoder_layers, config.decoder_layers
    if config.model_type == "led":
        reach = config.attention_window[0] // 2
        seen = sum(min(length - 1, i + reach) - max(0, i - reach) + 1 for i in range(length)) + length - reach
    else:
        blocks = length // 64
        seen = 64 * (2 * length + 2 * 7 * 64 + (blocks - 4) * 8 * 64)
    encoder = layers * (2 * length * (4 * d * d + 2 * d * ffn) + 4 * seen * d)
    own = 2 * t * 4 * d * d + 4 * t * (t + 1) / 2 * d
    cross = 2 * t * 2 * d * d + 2 * length * 2 * d * d + 4 * t * length * d
    decoder = decoders * (own + cross + 2 * t * 2 * d * config.decoder_ffn_dim)
    return 3 * (encoder + decoder + 2 * t * d * config.vocab_size)


def measure(case, pairs, threads, scratch):
    import torch
    from engine import Engine

    folder = scratch / case
    folder.mkdir()
    prepare(case, folder)
    batch = folder / "batch.safetensors"
    theirs = Child(case, folder, threads)
    with Engine() as ours:
        ours.ask("prepare", threads=threads, seed=2)
        ours.ask("load", weights=folder, train_only=True)
        ours.ask("forward", batch=batch, outputs=folder / "out.safetensors", training=False)
        from safetensors.torch import load_file
        losses = [load_file(folder / "out.safetensors")["loss"].item(), theirs.ask("loss")["loss"]]
        if abs(losses[0] - losses[1]) > 1e-5 * losses[1]:
            raise SystemExit(f"{case}: the losses are {losses[0]} and {losses[1]}: not the same model")
        rows, rates = [], []
        for n in range(pairs + 1):
            row = dict(
                ours=timed(ours.process, lambda: ours.ask("step", batch=batch, recipe=RECIPE)),
                theirs=timed(theirs.process, lambda: theirs.ask("step")))
            rates.append(theirs.ask("sgemm")["flops"])
            row["ours"]["evaluate"], row["theirs"]["evaluate"] = ours.ask("evaluate", batch=batch)["seconds"], theirs.ask("evaluate")["seconds"]
            if n > 0:  # the first step allocates and, of the optimizer, makes the moments
                rows.append(row)
            print(f"{case}: {'warm-up' if n == 0 else f'pair {n}'}: {row['ours']['step']:.2f} s and {row['theirs']['step']:.2f} s, "
                  f"of CPU {row['ours']['cpu']:.2f} and {row['theirs']['cpu']:.2f}", file=sys.stderr)
        memory = dict(ours=ours.ask("peak_memory")["bytes"], theirs=theirs.ask("peak_memory")["bytes"])
    theirs.close()
    shutil.rmtree(folder)
    return dict(
        rows=rows, losses=losses, sgemm=max(rates), flops=flops(case), memory=memory, threads=threads, torch=torch.__version__,
        transformers=__import__("transformers").__version__, machine=machine(), date=time.strftime("%Y-%m-%d", time.gmtime()))


def machine():
    """Its class, not its name."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} x {model}"


def figures(case, result):
    part = lambda side, name: statistics.median(row[side][name] for row in result["rows"])
    ratios = sorted(row["theirs"]["step"] / row["ours"]["step"] for row in result["rows"])
    evaluations = sorted(row["theirs"]["evaluate"] / row["ours"]["evaluate"] for row in result["rows"])
    cpu = sorted(row["theirs"]["cpu"] / row["ours"]["cpu"] for row in result["rows"])
    best = {side: min(row[side]["step"] for row in result["rows"]) for side in ("ours", "theirs")}
    return dict(
        ratio=statistics.median(ratios), lowest=ratios[0], highest=ratios[-1], of_minima=best["theirs"] / best["ours"],
        cpu=statistics.median(cpu), cpu_lowest=cpu[0], cpu_highest=cpu[-1],
        evaluation=statistics.median(evaluations), evaluation_lowest=evaluations[0], evaluation_highest=evaluations[-1],
        memory=result["memory"]["ours"] / result["memory"]["theirs"],
        share={side: result["flops"] / best[side] / result["sgemm"] for side in best}, part=part, best=best)


def markdown(results):
    lines = [
        "# lcbench against transformers", "",
        "Written by `benches/lcbench_vs_hf.py`, which says what is measured and how. Ratios are transformers' time by lcbench's: the "
        "median over pairs of steps that ran one after the other, with the lowest and the highest. The target is the least that "
        "lcbench has to reach.", "",
        "## One training step (forward, backward, clipping, AdamW; dropout 0.1, 128 target tokens, batch 1, fp32)", "",
        "| case | pairs | times as fast: median (lowest .. highest) | of the two fastest steps | CPU time | target | memory, share of transformers' | target |",
        "|---|---|---|---|---|---|---|---|"]
    for case, result in results.items():
        f = figures(case, result)
        lines.append(f"| {case} | {len(result['rows'])} | **{f['ratio']:.2f}** ({f['lowest']:.2f} .. {f['highest']:.2f}) | {f['of_minima']:.2f} "
                     f"| {f['cpu']:.2f} ({f['cpu_lowest']:.2f} .. {f['cpu_highest']:.2f}) | {CASES[case][3]:.1f} | **{f['memory']:.2f}** | {CASES[case][4]} |")
    lines += ["", "## One evaluation (teacher-forced: forward, argmax)", "", "| case | times as fast: median (lowest .. highest) |", "|---|---|"]
    for case, result in results.items():
        f = figures(case, result)
        lines.append(f"| {case} | {f['evaluation']:.2f} ({f['evaluation_lowest']:.2f} .. {f['evaluation_highest']:.2f}) |")
    lines += ["", "## Where the time goes: seconds of the median step, and what both reach of sgemm's own rate in the fastest", "",
              "| case | side | forward | backward | clipping and AdamW | step | share of sgemm's rate |", "|---|---|---|---|---|---|---|"]
    for case, result in results.items():
        f = figures(case, result)
        p = f["part"]
        forward = f"{p('ours', 'encode') + p('ours', 'decode'):.2f} (encoder {p('ours', 'encode'):.2f})"
        for side, text in (("ours", forward), ("theirs", f"{p('theirs', 'forward'):.2f}")):
            name = "lcbench" if side == "ours" else "transformers"
            lines.append(f"| {case} | {name} | {text} | {p(side, 'backward'):.2f} | {p(side, 'optimizer'):.2f} | {p(side, 'step'):.2f} "
                         f"| {100 * f['share'][side]:.0f} % |")
    lines += ["", "## Equal figures, and what was run", "",
              "| case | loss without dropout: lcbench | transformers | last loss with dropout: lcbench | transformers | peak memory, GB: lcbench | transformers | GFLOP a step | sgemm, GFLOP/s | threads | torch, transformers | machine | date |",
              "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for case, result in results.items():
        last = result["rows"][-1]
        lines.append(
            f"| {case} | {result['losses'][0]:.6f} | {result['losses'][1]:.6f} | {last['ours']['loss']:.4f} | {last['theirs']['loss']:.4f} "
            f"| {result['memory']['ours'] / 1e9:.2f} | {result['memory']['theirs'] / 1e9:.2f} | {result['flops'] / 1e9:.0f} "
            f"| {result['sgemm'] / 1e9:.0f} | {result['threads']} | {result['torch']}, {result['transformers']} | {result['machine']} | {result['date']} |")
    lines += ["", "Seconds of each pair (lcbench, transformers):", ""]
    for case, result in results.items():
        pairs = ", ".join(f"({row['ours']['step']:.2f}, {row['theirs']['step']:.2f})" for row in result["rows"])
        lines.append(f"- {case}: {pairs}")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:2] == ["--serve"]:
        case, folder, threads = sys.argv[2:]
        return Theirs(case, pathlib.Path(folder), int(threads)).serve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"any of: {', '.join(CASES)} [all]")
    parser.add_argument("--pairs", type=int, default=5, help="steps on either side after the first, which is left out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    unknown = [case for case in options.cases if case not in CASES]
    if unknown or options.pairs < 1 or options.threads < 1:
        parser.error(f"no such case: {unknown}" if unknown else "--pairs and --threads are at least 1")
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for case in options.cases or CASES:
            results[case] = measure(case, options.pairs, options.threads, pathlib.Path(scratch))
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n")
    text = markdown({case: results[case] for case in CASES if case in results})
    if options.markdown:
        options.markdown.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
