"""Writes tests/data/tokenizers: small vocabularies in the published forms, odd texts, and the ids that the originals give them.

Run in a venv with transformers, tokenizers and sentencepiece:  python adapters/lcbench/goldens/vocabularies.py

LED: ids and decoded text of transformers' own LED tokenizer. BigBird-Pegasus: ids of transformers' fast tokenizer by the rules of
4.11 (later versions build another). How many texts sentencepiece itself splits otherwise is printed: one in eleven of
these, where marks, jamo or half-width kana follow each other: the fast tokenizer normalizes cluster by cluster.
"""

import hashlib
import io
import json
import pathlib
import random
import shutil
import zipfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "tokenizers"

ENGLISH = """
The committee reported that the program had not met its goals in the first year, and that further funding would depend on
results. She didn't know what they'd said; it's what we've always done, I'm sure you're right. In 1992, 3.5 million people
(about 12%) lived there - "a long way from home", as he put it... What is the answer? Who wrote it! The method outperforms the
baseline by 2.1 points on the test set; see Section 4 and Table 3. Question: which data sets were used for the evaluation?
""".split()

CHARACTERS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "accents": "\u00e9\u00e8\u00fc\u00f1\u00df\u00f8\u0142\u0131\u0130\u017f\u1e9e\u01c5",
    "marks": "e\u0301a\u0308o\u0323\u0302n\u0303\u0300\u20e3",
    "greek_cyrillic": "\u03b1\u03b2\u03a3\u03c2\u03c3\u0416\u0436\u0451\u0419\u0456",
    "cjk": "\u4e2d\u6587\u65e5\u672c\u8a9e\u304b\u304c\u30ab\u30ac\ud55c\uad6d\uc5b4\u3002\u300c\u300d\uff0c",
    "jamo": "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "wide": "\uff21\uff22\uff43\uff11\uff12\uff01\uff76\uff9e\uff8a\uff9f",
    "right_to_left": "\u0627\u0644\u0639\u0631\u0628\u064a\u0629\u05e9\u05dc\u05d5\u05dd\u200f\u0651",
    "indic": "\u0939\u093f\u0928\u094d\u0926\u0940\u0e44\u0e17\u0e22\u0e33\u0bb8\u0bcd",
    "compatibility": "\ufb01\ufb03\u2122\u2163\u00bd\u33a5\u2460\u00b2\u2126\u212b\u1d400\U0001d54f\ufdfa\u3392",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd\u2764\ufe0f",
    "spaces": " \u00a0\u2003\u2009\u200b\u3000\u2028\u2029\u0085\t\n\r\u000b\u000c\u1680\u202f\u205f",
    "controls": "\u0001\u0007\u001b\u001c\u007f\u0080\u009f\u00ad\ufeff\u200e\u2060\ue000\ufffd\uffff\U0010ffff\U000e0001",
    "punctuation": ".,;:!?'\"()[]{}<>/\\|@#$%^&*_-+=~`\u2019\u201c\u201d\u2014\u2026\u00ab\u00bb\u2581",
}


def odd_texts(count, seed):
    rng = random.Random(seed)
    everything = "".join(CHARACTERS.values())
    texts = ["", " ", "  ", "\n", "\n\n", "a", " a", "a ", "\u2581", "'s", "it's", "\u0130", "\U0001f468\u200d\U0001f469", "e\u0301"]
    while len(texts) < count:
        parts = []
        for _ in range(rng.randrange(1, 7)):
            kind = rng.randrange(6)
            if kind < 2:
                parts.append(" ".join(rng.choice(ENGLISH) for _ in range(rng.randrange(1, 6))))
            elif kind < 4:
                characters = rng.choice(list(CHARACTERS.values()))
                parts.append("".join(rng.choice(characters) for _ in range(rng.randrange(1, 8))))
            elif kind == 4:
                parts.append("".join(rng.choice(everything) for _ in range(rng.randrange(1, 8))))
            else:
                parts.append(rng.choice(["\n\n", "   ", "\t", " \n ", "\r\n", "\u00a0 ", "don't", " 've", "100,000.5", "..."]))
            if rng.random() < 0.5:
                parts.append(" ")
        texts.append("".join(parts))
    return texts


def special_texts():
    return [
        "<s>", "</s>", "<pad>", "<unk>", "<mask>", "a<mask>b", "a <mask> b", "a  <mask>  b", "x</s>y", "x </s> y", "<s>a</s><pad>",
        "<unk>word", "word<unk>", "\u00e9</s>\u00e9", "<S>", "< s>", "</s", "<pad><pad>", "line\n</s>\nline", "\u2581</s>\u2581",
    ]


def corpus():
    rng = random.Random(1)
    lines = [" ".join(rng.choice(ENGLISH) for _ in range(12)) for _ in range(400)]
    return lines + odd_texts(1200, seed=2)


def digest(ids, text):
    """Of one text's ids, and of what they decode to."""
    h = lambda data: hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{len(ids)} {h(','.join(map(str, ids)))} {h(text)}"


def clean_up(text):
    """transformers 4.11, PreTrainedTokenizerBase.clean_up_tokenization: its default then, off in later versions."""
    for old, new in [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
        (" 've", "'ve"), (" 're", "'re"),
    ]:
        text = text.replace(old, new)
    return text


def train_led(folder):
    """vocab.json and merges.txt, as LED's repositories hold them."""
    folder.mkdir()
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=620, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(corpus(), trainer)
    # The mask is the last id, as in the published vocabulary.
    vocab = {**trained.get_vocab(), "<mask>": trained.get_vocab_size()}
    merges = json.loads(trained.to_str())["model"]["merges"]
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) if isinstance(pair, list) else pair for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def led_tokenizer(folder):
    """transformers' own."""
    from transformers import LEDTokenizer

    # As the published repository says, and as 4.11 has by itself: the mask takes the space before it along.
    mask = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    return LEDTokenizer.from_pretrained(folder, mask_token=mask)


def led_row(tokenizer, text):
    """Ids with special tokens, and what they decode to."""
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == 0 and ids[-1] == 2, ids
    return ids, clean_up(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def led(texts):
    folder = OUT / "led"
    train_led(folder)
    tokenizer = led_tokenizer(folder)
    tokenizer.save_pretrained(OUT / "saved")
    (OUT / "led-json").mkdir()
    shutil.copy(OUT / "saved" / "tokenizer.json", OUT / "led-json" / "tokenizer.json")
    shutil.rmtree(OUT / "saved")
    return [digest(*led_row(tokenizer, text)) for text in texts]


def train_bigbird(folder):
    """spiece.model with the special pieces where BigBird-Pegasus's has them."""
    folder.mkdir()
    lines = [line.replace("\n", " ").replace("\r", " ") for line in corpus()]
    # Through memory: the model would record the names of files.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="unigram", vocab_size=700, character_coverage=0.98,
        normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, bos_id=2, unk_id=105,
        user_defined_symbols=[f"<unused_{n}>" for n in range(102)] + ["<n>"], minloglevel=2, num_threads=1,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text('{"offset": 0, "mask_token_sent": null}\n')


def bigbird_tokenizer(folder):
    """transformers 4.11: PegasusConverter with offset 0."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((folder / "spiece.model").read_bytes())
    tokenizer = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], unk_id=105))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " "),
    ])
    metaspace = dict(replacement="\u2581", prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**metaspace)])
    tokenizer.decoder = decoders.Metaspace(**metaspace)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in ("<pad>", "</s>", "<unk>")])
    return tokenizer


def bigbird_row(tokenizer, text):
    """Ids with the end token, and what they decode to."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    kept = [i for i in ids if i not in (0, 1, 2, 105)]
    return ids + [1], clean_up(tokenizer.decode(kept))


def bigbird(texts, special):
    folder = OUT / "bigbird"
    train_bigbird(folder)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    assert (pieces.pad_id(), pieces.eos_id(), pieces.bos_id(), pieces.unk_id()) == (0, 1, 2, 105)
    tokenizer = bigbird_tokenizer(folder)
    rows, differ = [], []
    for text in texts + special:
        ids, decoded = bigbird_row(tokenizer, text)
        if text not in special and ids[:-1] != pieces.encode(text):
            differ.append(text)
        rows.append(digest(ids, decoded))
    print(f"{len(differ)} of {len(texts)} texts differ from sentencepiece")
    # The character map of nmt_nfkc alone has 237 kB; a fixed date keeps the archive the same from run to run.
    with zipfile.ZipFile(OUT / "bigbird.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    shutil.rmtree(folder)
    return rows


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    texts, special = odd_texts(1000, seed=3), special_texts()
    rows = led(texts + special)
    unigram = bigbird(texts, special)
    lines = [json.dumps([text, a, b], ensure_ascii=False, separators=(",", ":")) for text, a, b in zip(texts + special, rows, unigram)]
    (OUT / "texts.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
