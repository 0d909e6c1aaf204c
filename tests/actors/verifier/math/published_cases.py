#!/usr/bin/env python3
"""Brings the published test cases of the Python package math-verify for comparison.

    published_cases.py FOLDER        (default: build/published_cases)
    TROUPE_PUBLISHED_CASES=FOLDER/cases.txt build/tests/tests_actors_slow -sf='*published*'

The package is downloaded and not kept in this repository. Its cases are texts. A response with a
box stays whole, for our own extraction. For any other text the package's own patterns say which
part of it is the answer, because those cases are about finding an answer in prose, which we never
do, and what is compared here are verdicts.
"""
import ast
import glob
import itertools
import os
import subprocess
import sys
import tarfile
from unittest import mock

PACKAGE = "math-verify==0.9.0"
# What the package's parser imports besides; its patterns need none of it.
UNUSED = ("sympy", "sympy.core", "sympy.core.expr", "sympy.parsing", "latex2sympy2_extended",
          "latex2sympy2_extended.latex2sympy2", "latex2sympy2_extended.sets", "math_verify.grader")


def patterns_of(source):
    """Kinds of answers -> the package's patterns for them, in groups of one priority each."""
    sys.modules.update({name: mock.MagicMock() for name in UNUSED})
    sys.path.insert(0, source)
    from math_verify import parser
    configs = {"latex": parser.LatexExtractionConfig(boxed_match_priority=0),
               "expr": parser.ExprExtractionConfig()}

    def groups(kinds):
        found = parser.get_extraction_regexes([configs[kind] for kind in kinds])
        each = sorted((one for ones, _ in found for one in ones), key=lambda one: one[1])
        return [[pattern for pattern, _ in group]
                for _, group in itertools.groupby(each, key=lambda one: one[1])]
    return groups


def matched(match):
    """What a match holds: several pieces of LaTeX with "and" between them, or a number."""
    groups = {name: text for name, text in match.groupdict().items() if text}
    if groups.get("expr"):
        return groups["expr"].strip()
    number = "".join(text for name, text in groups.items()
                     if name.startswith(("integer", "decimal")))
    if number:
        return number + ("\\%" if "percent" in groups else "")
    pieces = []
    for name, text in groups.items():
        if "_latex" in name:
            pieces.append(text + ("\\%" if name.split("_")[0] + "_percent" in groups else ""))
    return ", ".join(pieces)


def answer_of(text, groups):
    for patterns in groups:
        matches = [match for pattern in patterns for match in pattern.finditer(text)]
        if matches:
            return matched(max(matches, key=lambda match: (match.end(), -match.start())))
    return text


def kinds_of(function):
    for node in ast.walk(ast.Module(function.body, [])):
        if isinstance(node, ast.keyword) and node.arg == "match_types":
            return ast.literal_eval(node.value)
    return ["latex", "expr"]


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
                yield function, int(wanted), case["gold"], case.get("pred", "")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "build/published_cases"
    os.makedirs(folder, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary",
                    ":all:", "--dest", folder, PACKAGE], check=True)
    with tarfile.open(glob.glob(os.path.join(folder, "*.tar.gz"))[0]) as package:
        package.extractall(folder)
    groups = patterns_of(glob.glob(os.path.join(folder, "*", "src"))[0])
    count = 0
    with open(os.path.join(folder, "cases.txt"), "w") as out:
        for path in sorted(glob.glob(os.path.join(folder, "*", "tests", "test_*.py"))):
            for function, wanted, gold, response in cases_of(path):
                patterns = groups(kinds_of(function))
                if "boxed" not in gold:
                    gold = answer_of(gold, patterns)
                is_response = "boxed" in response
                if not is_response:
                    response = answer_of(response, patterns)
                # Fields and records end with the control characters made for that.
                kind = "response" if is_response else "answer"
                fields = [function.name, str(wanted), kind, gold, response]
                out.write("\x1f".join(fields) + "\x1e")
                count += 1
    print(f"{count} cases in {folder}/cases.txt")


if __name__ == "__main__":
    main()
