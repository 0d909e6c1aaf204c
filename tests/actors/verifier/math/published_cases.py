#!/usr/bin/env python3
"""Brings the published test cases of the Python package math-verify for comparison.

    published_cases.py FOLDER        (default: build/published_cases)
    TROUPE_PUBLISHED_CASES=FOLDER/cases.txt build/tests/tests_actors_slow -sf='*published*'

The package is downloaded and not kept in this repository. Its cases are texts; here the answer is
taken out of dollar signs (the last ones, or those after "final answer is"), because a verdict is
about an answer; a response with a box stays whole, for our own extraction.
"""
import ast
import glob
import os
import re
import subprocess
import sys
import tarfile

PACKAGE = "math-verify==0.9.0"


def delimited(text):
    pattern = r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)"
    return ["".join(parts) for parts in re.findall(pattern, text, re.S)]


def answer_of(text):
    final = re.search(r"final answer is[:\s]*(.*)", text, re.I | re.S)
    for part in [final.group(1)] if final else []:
        if delimited(part):
            return delimited(part)[-1]
    return delimited(text)[-1] if delimited(text) else text


def cases_of(path):
    for function in ast.parse(open(path).read()).body:
        for decorator in getattr(function, "decorator_list", []):
            if not isinstance(decorator, ast.Call) or len(decorator.args) < 2:
                continue
            try:
                names = [name.strip() for name in ast.literal_eval(decorator.args[0]).split(",")]
                rows = decorator.args[1].elts
            except (ValueError, AttributeError):
                continue
            for row in rows if "gold" in names else []:
                try:
                    case = dict(zip(names, ast.literal_eval(row)))
                except ValueError:
                    continue
                wanted = case.get("expected", case.get("result"))
                yield function.name, int(wanted), case["gold"], case.get("pred", "")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "build/published_cases"
    os.makedirs(folder, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary",
                    ":all:", "--dest", folder, PACKAGE], check=True)
    with tarfile.open(glob.glob(os.path.join(folder, "*.tar.gz"))[0]) as package:
        package.extractall(folder)
    count = 0
    with open(os.path.join(folder, "cases.txt"), "w") as out:
        for path in sorted(glob.glob(os.path.join(folder, "*", "tests", "test_*.py"))):
            for name, wanted, gold, response in cases_of(path):
                if "boxed" not in gold:
                    gold = answer_of(gold)
                is_response = "boxed" in response
                if not is_response:
                    response = answer_of(response)
                # Fields and records end with the control characters made for that.
                kind = "response" if is_response else "answer"
                fields = [name, str(wanted), kind, gold, response]
                out.write("\x1f".join(fields) + "\x1e")
                count += 1
    print(f"{count} cases in {folder}/cases.txt")


if __name__ == "__main__":
    main()
