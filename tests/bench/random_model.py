"""A model folder of SmolLM2-135M's shape with random weights, for measurements without a network.

Speed depends on shapes, not on what the weights know, and a policy that knows nothing has a use
here: it chooses an end token once in 49,152 tokens at most, so that all responses are as long as
they may be. (With the tied head it likes to repeat the token before, which costs nothing.) The
head has all of its rows, since sampling and the loss are paid for by the row; the tokenizer has the
words of the given prompts, so that prompts have about as many tokens as in the published one.

Standard library only. Weights are looked up in a table of the normal distribution's 65,536
quantiles by 16 random bits each: bf16 has no finer steps where most of them lie, and 135 million
look-ups take seconds, where as many calls of random.gauss take minutes.
"""
import array
import itertools
import json
import random
import re
import statistics
import struct
import sys

HIDDEN, LAYERS, HEADS, KV_HEADS, INTERMEDIATE, VOCABULARY = 576, 30, 9, 3, 1536, 49152
HEAD_DIM = HIDDEN // HEADS
DEVIATION = 0.02  # The head's input has a norm of 24, so logits have a deviation of about 0.5.
ONE = 0x3F80  # In bf16.
CHUNK = 1 << 20  # Weights drawn at once.
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END = SPECIAL.index("<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def tensors():
    """Names and shapes, in the order in which they are written."""
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", [HIDDEN]
        yield layer + "self_attn.q_proj.weight", [HEADS * HEAD_DIM, HIDDEN]
        yield layer + "self_attn.k_proj.weight", [KV_HEADS * HEAD_DIM, HIDDEN]
        yield layer + "self_attn.v_proj.weight", [KV_HEADS * HEAD_DIM, HIDDEN]
        yield layer + "self_attn.o_proj.weight", [HIDDEN, HEADS * HEAD_DIM]
        yield layer + "post_attention_layernorm.weight", [HIDDEN]
        yield layer + "mlp.gate_proj.weight", [INTERMEDIATE, HIDDEN]
        yield layer + "mlp.up_proj.weight", [INTERMEDIATE, HIDDEN]
        yield layer + "mlp.down_proj.weight", [HIDDEN, INTERMEDIATE]
    yield "model.norm.weight", [HIDDEN]


def count_of(shape):
    return shape[0] if len(shape) == 1 else shape[0] * shape[1]


def bf16_of(value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def write_weights(path, seed):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors():
        end = at + 2 * count_of(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    normal = statistics.NormalDist(0, DEVIATION)
    quantiles = [bf16_of(normal.inv_cdf((i + 0.5) / 65536)) for i in range(65536)]
    source = random.Random(seed)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors():
            count = count_of(shape)
            for begin in range(0, count, CHUNK):
                size = min(CHUNK, count - begin)
                if len(shape) == 1:
                    values = array.array("H", [ONE]) * size
                else:
                    bits = array.array("H", source.randbytes(2 * size))
                    values = array.array("H", map(quantiles.__getitem__, bits))
                if sys.byteorder == "big":
                    values.byteswap()
                file.write(values.tobytes())


def byte_letters():
    """GPT-2's letters for bytes: printable ones are themselves, others follow from U+0100 on."""
    letters, following = [], 256
    for byte in range(256):
        is_printable = 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174
        letters.append(chr(byte if is_printable else following))
        following += not is_printable
    return letters


def make_tokenizer(prompts):
    """Bytes, every beginning of the prompts' words, and words that no text is split into."""
    letters = byte_letters()
    tokens = dict.fromkeys(SPECIAL + letters)  # An ordered set.
    texts = ["user", "assistant", *prompts]
    words = {word for text in texts for word in re.findall(r" ?[A-Za-z]+", text)}
    merges = []
    # All merges add a letter to a beginning. Words behind a space come first, so that nothing else
    # is merged before the longest known beginning of such a word; others may fall into more pieces.
    for word in sorted(words):
        spelling = word.replace(" ", letters[32])
        for end in range(2, len(spelling) + 1):
            if spelling[:end] not in tokens:
                tokens[spelling[:end]] = None
                merges.append([spelling[:end - 1], spelling[end - 1]])
    # What the policy writes at random is text as long as a real policy's.
    consonants, vowels = "bcdfghjklmnpqrstvwxz", "aeiou"
    for syllables in itertools.product(consonants, vowels, consonants, vowels, consonants):
        if len(tokens) == VOCABULARY:
            break
        tokens[letters[32] + "".join(syllables)] = None
    if len(tokens) != VOCABULARY:
        raise ValueError(f"the prompts have too many words for {VOCABULARY} tokens")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": id, "content": content, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}
                         for id, content in enumerate(SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: id for id, token in enumerate(tokens)}, "merges": merges},
    }


def write_model(folder, prompts, seed):
    """Writes a folder that transformers and Troupe load; the same arguments give the same bytes."""
    folder.mkdir(parents=True)
    texts = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
            "intermediate_size": INTERMEDIATE, "vocab_size": VOCABULARY,
            "max_position_embeddings": 8192, "rope_theta": 100000.0, "rms_norm_eps": 1e-5,
            "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
            "attention_dropout": 0.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
            "initializer_range": DEVIATION, "bos_token_id": 1, "eos_token_id": END,
            "pad_token_id": END},
        "generation_config.json": {
            "bos_token_id": 1, "eos_token_id": END, "pad_token_id": END},
        "tokenizer.json": make_tokenizer(prompts),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "model_max_length": 8192,
            "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE},
    }
    for name, value in texts.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    write_weights(folder / "model.safetensors", seed)
