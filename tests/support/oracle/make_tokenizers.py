"""Writes tests/model/golden/tokenizers/: small vocabularies of the `tokenizers` package, each
with the normaliser, pre-tokeniser, decoder and post-processor of a family of models, and what the
package makes of 10,000 lines with each.

Run by hand, only to change what is covered; the files are committed and no test needs Python:

  python3.11 -m venv /tmp/oracle && . /tmp/oracle/bin/activate
  pip install tokenizers==0.23.3
  python tests/support/oracle/make_tokenizers.py

lines(): line i is a function of i and of fragments.json, so that the lines need not be kept; the
tests have the same function. hashes.json: for each vocabulary, and again for text whose markers
are tokens, 8 digits for the ids of each 10 lines.
--text FILE and --ids FILE write the lines and all ids, to look for a difference.
"""
import argparse
import json
import pathlib
import sysconfig

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

GOLDEN = pathlib.Path(__file__).parents[2] / "model" / "golden" / "tokenizers"
LINES = 10_000
PER_HASH = 10
MASK = (1 << 64) - 1

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}{{1,3}}|{REST}"
QWEN2 = rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}|{REST}"
# Of Han and kana, as code points: U+4E00 - U+9FA5, U+3040 - U+309F, U+30A0 - U+30FF.
DEEPSEEK_CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
            r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

ISOLATED = dict(behavior="isolated", invert=False)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), **ISOLATED)


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


FAMILIES = {
    "gpt2": dict(pre=byte_level(True), special=["<|endoftext|>"]),
    "smollm2": dict(pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                 byte_level(True)]),
                    special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
    "llama3": dict(pre=pre_tokenizers.Sequence([split(LLAMA3), byte_level(False)]),
                   ignore_merges=True, bos="<|begin_of_text|>",
                   special=["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                            "<|end_header_id|>", "<|eot_id|>"]),
    "qwen2": dict(pre=pre_tokenizers.Sequence([split(QWEN2), byte_level(False)]),
                  normalizer=normalizers.NFC(),
                  special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                  added=["<think>", "</think>"]),
    "deepseek_v3": dict(
        pre=pre_tokenizers.Sequence([split(r"\p{N}{1,3}"), split(DEEPSEEK_CJK), split(DEEPSEEK),
                                     byte_level(False)]),
        bos="<\uff5cbegin\u2581of\u2581sentence\uff5c>",
        special=["<\uff5cbegin\u2581of\u2581sentence\uff5c>",
                 "<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>",
                 "<\uff5cAssistant\uff5c>"]),
    "llama2": dict(pre=None, special=["<unk>", "<s>", "</s>"], bos="<s>",
                   normalizer=normalizers.Sequence([normalizers.Prepend("\u2581"),
                                                    normalizers.Replace(" ", "\u2581")])),
}


def random_words(seed):
    """splitmix64"""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def lines(fragments):
    for i in range(LINES):
        words = random_words(i)
        count = 1 + next(words) % 12
        text = ""
        for _ in range(count):
            text += fragments[next(words) % len(fragments)]
            if next(words) % 3 == 0:
                text += " "
        yield text


def fnv1a(value, ids):
    for token in ids:
        for byte in token.to_bytes(4, "little"):
            value = ((value ^ byte) * 0x100000001B3) & MASK
    return ((value ^ 0xFF) * 0x100000001B3) & MASK  # The end of a line.


def sources():
    """Code and English to train on."""
    for name in ("argparse", "asyncio/base_events", "csv", "decimal", "difflib", "heapq", "json"
                 "/encoder", "random", "statistics", "textwrap", "typing"):
        path = pathlib.Path(sysconfig.get_paths()["stdlib"]) / f"{name}.py"
        if path.exists():
            yield from path.read_text().splitlines(keepends=True)


def train(name, family, texts, vocab_size):
    is_bytes = family["pre"] is not None
    model = models.BPE(ignore_merges=family.get("ignore_merges", False))
    special = list(family["special"])
    if not is_bytes:
        model = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True)
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(model)
    if "normalizer" in family:
        tokenizer.normalizer = family["normalizer"]
    if is_bytes:
        tokenizer.pre_tokenizer = family["pre"]
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
             decoders.Strip(" ", 1, 0)])
        # Characters that are not common are bytes.
        alphabet = []
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special,
                                  initial_alphabet=alphabet, show_progress=False,
                                  **({} if is_bytes else dict(limit_alphabet=120)))
    tokenizer.train_from_iterator(texts, trainer)
    if "added" in family:
        tokenizer.add_tokens([AddedToken(text, normalized=False) for text in family["added"]])
    if "bos" in family:
        bos = family["bos"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    elif is_bytes:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    config = json.loads(tokenizer.to_str())
    if not is_bytes:  # Bytes are tokens of the model, as real files have them.
        tokens = config["added_tokens"]
        config["added_tokens"] = [t for t in tokens if not t["content"][:3] == "<0x"]
    if name == "gpt2":  # The older form of the same.
        config["model"]["merges"] = [" ".join(pair) for pair in config["model"]["merges"]]
    path = GOLDEN / f"{name}.json"
    path.write_text(json.dumps(config, ensure_ascii=False, separators=(",", ":")) + "\n")
    return Tokenizer.from_file(str(path))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--ids", type=pathlib.Path)
    arguments = parser.parse_args()
    fragments = json.loads((GOLDEN / "fragments.json").read_text())
    texts = list(lines(fragments))
    if arguments.text:
        arguments.text.write_text("".join(json.dumps(text) + "\n" for text in texts))
    hashes, all_ids = {}, {}
    for name, family in FAMILIES.items():
        tokenizer = train(name, family, texts[:3000] + list(sources()), 1500)
        # Text of somebody else has no markers: neither special tokens nor others that were added.
        config = json.loads(tokenizer.to_str())
        config["added_tokens"] = [t for t in config["added_tokens"] if t["special"]]
        plain = Tokenizer.from_str(json.dumps(config))
        plain.encode_special_tokens = True
        for kind, encoder in ((name, plain), (f"{name}.markup", tokenizer)):
            ids = [encoder.encode(text, add_special_tokens=False).ids for text in texts]
            rows = []
            for i in range(0, LINES, PER_HASH):
                value = 0xCBF29CE484222325
                for row in ids[i : i + PER_HASH]:
                    value = fnv1a(value, row)
                rows.append(f"{value >> 32:08x}")
            hashes[kind] = "".join(rows)
            all_ids[kind] = ids
            print(f"{kind}: {tokenizer.get_vocab_size()} tokens, {sum(map(len, ids))} ids")
    with open(GOLDEN / "hashes.json", "w") as file:
        body = ",\n".join(f' "{name}": "{digits}"' for name, digits in hashes.items())
        file.write("{\n" + body + "\n}\n")
    if arguments.ids:
        arguments.ids.write_text(json.dumps(all_ids))


if __name__ == "__main__":
    main()
