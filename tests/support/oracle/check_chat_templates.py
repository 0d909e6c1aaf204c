#!/usr/bin/env python3
"""Compares tests/model/golden/chat_templates with transformers, or with --write fills in what it
says: the digests of published.json's renders, and the texts of expressions.json.

    python3 tests/support/oracle/check_chat_templates.py [--write]      (needs transformers)

A template of published.json says which package of PyPI has it (all are under Apache-2.0 or MIT). A
new one is added with "name", "from" and "template"; --write adds its renders.
"""

import hashlib
import json
import pathlib
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

FOLDER = pathlib.Path(__file__).parents[2] / "model/golden/chat_templates"


def compiled(source):
    template = _compile_jinja_template(source)
    # The program has no clock.
    template.environment.globals.pop("strftime_now", None)
    return template.environment.from_string(source)


def digest(template, variables):
    """Of the text; empty where the template or transformers refuses."""
    try:
        text = template.render(**variables)
    except Exception:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main():
    writes = "--write" in sys.argv[1:]
    different = 0
    golden = json.loads((FOLDER / "conversations.json").read_text())
    published = json.loads((FOLDER / "published.json").read_text())
    for one in published:
        template = compiled(one["template"])
        for name, conversation in golden["conversations"].items():
            variables = {"tools": None, "documents": None, "add_generation_prompt": True}
            variables |= golden["special_tokens"] | conversation
            made = digest(template, variables)
            different += one.setdefault("renders", {}).get(name) != made
            one["renders"][name] = made
    expressions = json.loads((FOLDER / "expressions.json").read_text())
    for pair in expressions["same"]:
        made = compiled(pair[0]).render(**expressions["variables"])
        # Another one each time, and refused here.
        if " at 0x" in made or "random" in pair[0]:
            continue
        different += pair[1] != made
        pair[1] = made
    count = len(expressions["same"])
    print(f"{different} differ of {len(published)} templates and {count} expressions")
    if writes:
        for name, what in (("published", published), ("expressions", expressions)):
            text = json.dumps(what, ensure_ascii=False, indent=0) + "\n"
            (FOLDER / f"{name}.json").write_text(text)
    elif different:
        sys.exit(1)


main()
