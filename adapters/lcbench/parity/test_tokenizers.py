"""Ids and decoded text against transformers' LED tokenizer and, for BigBird-Pegasus, its fast tokenizer by the rules of 4.11."""

import json
import pathlib
import tempfile
import unittest

import vocabularies
from engine import Engine, rng

TEXTS = 2000


class Tokenizers(unittest.TestCase):
    def check(self, family, train, load, row):
        random = rng(f"texts {family}")
        texts = vocabularies.odd_texts(TEXTS, seed=random.randrange(2**31)) + vocabularies.special_texts()
        with Engine() as engine, tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            train(folder / "vocabulary")
            tokenizer = load(folder / "vocabulary")
            (folder / "texts.json").write_text(json.dumps(texts))
            engine.ask("tokenize", vocabulary=folder / "vocabulary", family=family, texts=folder / "texts.json", longest=1 << 20,
                       outputs=folder / "rows.json")
            ours = json.loads((folder / "rows.json").read_text())
        self.assertEqual(len(ours), len(texts))
        for text, found in zip(texts, ours):
            self.assertEqual(found, list(row(tokenizer, text)), repr(text))
        self.assertGreater(len({tuple(ids) for ids, _ in ours}), TEXTS // 2)

    def test_led(self):
        self.check("led", vocabularies.train_led, vocabularies.led_tokenizer, vocabularies.led_row)

    def test_bigbird(self):
        self.check("bigbird", vocabularies.train_bigbird, vocabularies.bigbird_tokenizer, vocabularies.bigbird_row)


if __name__ == "__main__":
    unittest.main()
