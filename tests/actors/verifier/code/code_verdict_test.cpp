#include "actors/verifier/code/code_verdict.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "kernels/random.h"
#include "tests/support/test_sandbox.h"

namespace troupe::actors {
namespace {

CodeTask task_of(const std::string& json) {
  CAPTURE(json);
  auto value = value_from_json(json);
  REQUIRE_MESSAGE(value, value.error().message);
  CodeTask defaults;
  defaults.seconds = 2;
  defaults.memory_mb = 128;
  auto task = read_code_task(*value, defaults);
  REQUIRE_MESSAGE(task, task.error().message);
  return *task;
}

// sorted_copy in every format: the tests are the same, and none of them is told to the program.
const std::string kHumanEval =
    nlohmann::json{{"prompt", "def sorted_copy(items):\n    \"\"\"The items in order.\"\"\"\n"},
                   {"entry_point", "sorted_copy"},
                   {"test",
                    "def check(candidate):\n    assert candidate([3, 1, 2]) == [1, 2, 3]\n"
                    "    assert candidate([]) == []\n    assert candidate([5, -5]) == [-5, 5]\n"}}
        .dump();
const std::string kMbpp = R"j({
  "test_list": ["assert sorted_copy([3, 1, 2]) == [1, 2, 3]", "assert sorted_copy([]) == []",
                "assert sorted_copy([5, -5]) == [-5, 5]"]})j";
const std::string kFunction = R"j({"fn_name": "sorted_copy",
  "inputs": [[[3, 1, 2]], "[]", [[5, -5]]], "outputs": [[1, 2, 3], "[]", [-5, 5]]})j";
const std::string kStdio = R"j({
  "inputs": ["3 1 2\n", "\n", "5 -5\n"], "outputs": ["1 2 3\n", "\n", "-5 5\n"]})j";

VerdictKind verdict(const std::string& task, const std::string& code) {
  CAPTURE(code);
  const CodeVerdict verdict = verify_code(*tests::test_sandbox(), task_of(task), code);
  CAPTURE(verdict.reason);
  CHECK_FALSE(verdict.reason.empty());
  CHECK(std::all_of(verdict.reason.begin(), verdict.reason.end(),
                    [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; }));
  CHECK((verdict.kind == VerdictKind::kPassed) == (verdict.passed == verdict.total));
  return verdict.kind;
}

const std::string kSortedCopy = "def sorted_copy(items):\n    return sorted(items)\n";

TEST_CASE("code verdict: right programs pass in every format") {
  if (!tests::test_sandbox()) return;
  CHECK(verdict(kHumanEval, "    return sorted(items)\n") == VerdictKind::kPassed);
  CHECK(verdict(kHumanEval, kSortedCopy) == VerdictKind::kPassed);
  CHECK(verdict(kMbpp, kSortedCopy) == VerdictKind::kPassed);
  CHECK(verdict(kFunction, kSortedCopy) == VerdictKind::kPassed);
  CHECK(verdict(kFunction,
                "class Solution:\n    def sorted_copy(self, items: List[int]):\n"
                "        return sorted(items)\n") == VerdictKind::kPassed);
  CHECK(verdict(kStdio, "print(*sorted(map(int, input().split())))") == VerdictKind::kPassed);
  CHECK(verdict(kStdio,
                "import sys\nif __name__ == '__main__':\n"
                "  print(*sorted(map(int, sys.stdin.read().split())))\n  exit()") ==
        VerdictKind::kPassed);
}

TEST_CASE("code verdict: what is wrong has its own name") {
  if (!tests::test_sandbox()) return;
  struct Case {
    const char* code;
    VerdictKind kind;
  };
  const Case functions[] = {
      {"def sorted_copy(items):\n    return items\n", VerdictKind::kWrongAnswer},
      {"def sorted_copy(items):\n    pass\n", VerdictKind::kWrongAnswer},
      {"def sorted_copy(items)\n", VerdictKind::kCompileError},
      {"def another(items):\n    return items\n", VerdictKind::kRuntimeError},
      {"def sorted_copy(items):\n    return 1 / 0\n", VerdictKind::kRuntimeError},
      {"raise ValueError('early')\n", VerdictKind::kRuntimeError},
      {"def sorted_copy(items):\n    return sorted_copy(items)\n", VerdictKind::kRuntimeError},
      {"def sorted_copy(items):\n    while True: pass\n", VerdictKind::kTimeout},
      {"def sorted_copy(items):\n    return [0] * 10**9\n", VerdictKind::kResourceLimit},
      {"import os\ndef sorted_copy(items):\n    os.abort()\n", VerdictKind::kRuntimeError},
      {"", VerdictKind::kRuntimeError},
  };
  for (const Case& each : functions) {
    for (const std::string& task : {kMbpp, kFunction}) {
      CAPTURE(task);
      CAPTURE(each.code);
      CodeTask quick = task_of(task);
      quick.seconds = 0.5;
      const CodeVerdict verdict = verify_code(*tests::test_sandbox(), quick, each.code);
      CAPTURE(verdict.reason);
      CHECK(verdict.kind == each.kind);
    }
  }
  const Case programs[] = {
      {"print(*input().split())", VerdictKind::kWrongAnswer},
      {"print('1 2 3'", VerdictKind::kCompileError},
      {"print(1)\nraise SystemExit(3)", VerdictKind::kRuntimeError},
      {"print(1 / 0)", VerdictKind::kRuntimeError},
      {"while True: pass", VerdictKind::kTimeout},
      {"while True: print('1 2 3' * 1000)", VerdictKind::kResourceLimit},
      {"a = [0] * 10**9", VerdictKind::kResourceLimit},
  };
  for (const Case& each : programs) {
    CAPTURE(each.code);
    CodeTask quick = task_of(kStdio);
    quick.seconds = 0.5;
    const CodeVerdict verdict = verify_code(*tests::test_sandbox(), quick, each.code);
    CAPTURE(verdict.reason);
    CHECK(verdict.kind == each.kind);
  }
}

TEST_CASE("code verdict: a sleeper is ended by the wall limit") {
  if (!tests::test_sandbox()) return;
  CodeTask quick = task_of(kFunction);
  quick.seconds = 0.1;
  const auto kind =
      verify_code(*tests::test_sandbox(), quick,
                  "import time as t\ndef sorted_copy(items):\n    getattr(t, 'sleep')(1000)\n")
          .kind;
  CHECK(kind == VerdictKind::kTimeout);
}

TEST_CASE("code verdict: C and C++ are compiled in a box") {
  if (!tests::test_sandbox()) return;
  const auto with = [](const char* language) {
    std::string task = kStdio;
    return task.insert(1, std::string("\"language\": \"") + language + "\",");
  };
  CHECK(verdict(with("cpp"),
                "#include <algorithm>\n#include <iostream>\n#include <vector>\nint main() {\n"
                "  std::vector<int> v; int x; while (std::cin >> x) v.push_back(x);\n"
                "  std::sort(v.begin(), v.end());\n"
                "  for (int y : v) std::cout << y << ' '; std::cout << '\\n'; }\n") ==
        VerdictKind::kPassed);
  CHECK(verdict(with("c"),
                "#include <stdio.h>\nint main(void) { int x; while (scanf(\"%d\", &x) == 1) "
                "printf(\"%d \", x); return 0; }\n") == VerdictKind::kWrongAnswer);
  CHECK(verdict(with("cpp"), "int main() { return }") == VerdictKind::kCompileError);
  CHECK(verdict(with("cpp"), "int main() { return 3; }") == VerdictKind::kRuntimeError);
  CHECK(verdict(with("cpp"), "int main() { volatile int* p = nullptr; return *p; }") ==
        VerdictKind::kRuntimeError);
  // What the compiler is told to read is not there, and nothing of it is in a reason.
  CHECK(verdict(with("cpp"), "#include \"/etc/shadow\"\nint main() {}") ==
        VerdictKind::kCompileError);
}

TEST_CASE(
    "code verdict: a special judge decides, and a broken one is not held against the program") {
  if (!tests::test_sandbox()) return;
  const std::string judge = nlohmann::json{{"inputs", {"10\n", "7\n"}},
                                           {"checker",
                                            "import sys\nn = int(open(sys.argv[1]).read())\n"
                                            "a, b = map(int, open(sys.argv[2]).read().split())\n"
                                            "sys.exit(0 if a + b == n else 1)\n"}}
                                .dump();
  CHECK(verdict(judge, "n = int(input())\nprint(1, n - 1)") == VerdictKind::kPassed);
  CHECK(verdict(judge, "n = int(input())\nprint(n, n)") == VerdictKind::kWrongAnswer);
  CHECK(verdict(R"j({"inputs": ["1"], "checker": "def broken("})j", "print(1)") ==
        VerdictKind::kGoldUnparseable);
  CHECK(verdict(R"j({"inputs": ["1"], "checker": "raise SystemExit(7)"})j", "print(1)") ==
        VerdictKind::kGoldUnparseable);
}

TEST_CASE("code verdict: broken tests are not held against the program") {
  if (!tests::test_sandbox()) return;
  CHECK(verdict(R"j({"test_list": ["assert f(1) =="]})j", "def f(x): return x") ==
        VerdictKind::kGoldUnparseable);
  CHECK(verdict(R"j({"prompt": "", "test": "x = 1", "entry_point": "f"})j", "def f(x): return x") ==
        VerdictKind::kGoldUnparseable);
  CHECK(verdict(R"j({"test_list": ["assert f(1)"], "test_setup_code": "import nonesuch"
})j",
                "def f(x): return x") == VerdictKind::kGoldUnparseable);
}

TEST_CASE("code verdict: tests that import no names find the program's") {
  if (!tests::test_sandbox()) return;
  const auto pytest = [](const std::string& test) { return nlohmann::json{{"test", test}}.dump(); };
  const std::string add = "def add(a, b): return a + b\n", bad = "def add(a, b): return a - b\n";
  const std::string test = "def test_add():\n    assert add(1, 2) == 3\n";
  const std::string rows =
      "import pytest\nfrom solution import *\n@pytest.mark.parametrize('a, b', [(1, 2), (2, 3)])\n"
      "def test_add(a, b):\n    assert add(a, b) == a + b\n";
  const std::string star = "from solution import *\n";
  const std::string unit =
      "import unittest\nclass T(unittest.TestCase):\n  def test_add(self):\n"
      "    self.assertEqual(add(1, 2), 3)\n";
  for (const std::string& one : {star + test, test, rows, unit}) {
    CHECK(verdict(pytest(one), bad) == VerdictKind::kWrongAnswer);
    CHECK(verdict(pytest(one), "x = 1") == VerdictKind::kRuntimeError);
    CHECK(verdict(pytest(one), add) == VerdictKind::kPassed);
  }
  // A built-in's name is the built-in, so that no program decides what its tests see: nothing of
  // this program is tested. A forgotten import is the tests' fault.
  const std::string judges = "def test_sum():\n    assert all([sum([1, 2]) == 3])\n";
  for (const std::string& one : {star + judges, judges}) {
    CHECK(verdict(pytest(one), "def sum(x): return 0\ndef all(x): return True") ==
          VerdictKind::kGoldUnparseable);
  }
  CHECK(verdict(pytest("def test_add():\n    assert np.add(1, 2) == add(1, 2)\n"), add) ==
        VerdictKind::kGoldUnparseable);
  CHECK(verdict(pytest("def test_add():\n    assert add(1, 2) == 4\n    assert all([add(1, 2)])\n"),
                bad + "def all(x): return True\ndef assert_(x): pass\n") ==
        VerdictKind::kWrongAnswer);
}

TEST_CASE("code verdict: test functions beside an entry point") {
  if (!tests::test_sandbox()) return;
  const auto task = [](const char* name, const char* prompt, const std::string& test) {
    nlohmann::json row{{"test", test}, {"entry_point", name}};
    if (prompt != nullptr) row["prompt"] = prompt;
    return row.dump();
  };
  const std::string unit =
      "import unittest\nclass TestCases(unittest.TestCase):\n    def test_case_1(self):\n"
      "        self.assertEqual(twice(2), 4)\n";
  const char* header = "def twice(x):\n";
  for (const char* prompt : {static_cast<const char*>(nullptr), header, "Write twice(x)."}) {
    CHECK(verdict(task("twice", prompt, unit), "def twice(x): return x") ==
          VerdictKind::kWrongAnswer);
    CHECK(verdict(task("twice", prompt, unit), "def other(x): return 2 * x") ==
          (prompt == header ? VerdictKind::kWrongAnswer : VerdictKind::kRuntimeError));
    CHECK(verdict(task("twice", prompt, unit), "def twice(x): return 2 * x") ==
          VerdictKind::kPassed);
  }
  CHECK(verdict(task("twice", header, unit), "    return 2 * x\n") == VerdictKind::kPassed);
  // A function with a built-in's name is the program's all the same.
  const std::string sums = "def test_sum():\n    assert sum([1, 2]) == 3\n    assert one() == 1\n";
  CHECK(verdict(task("sum", nullptr, sums), "def sum(x): return 0\ndef one(): return 1\n") ==
        VerdictKind::kWrongAnswer);
  CHECK(verdict(task("sum", nullptr, sums), "def sum(x): return 3\ndef one(): return 1\n") ==
        VerdictKind::kPassed);
}

TEST_CASE("code verdict: the shapes in which problems name and check a function") {
  if (!tests::test_sandbox()) return;
  const auto humaneval = [](const char* prompt, const char* test) {
    return nlohmann::json{{"prompt", prompt}, {"test", test}, {"entry_point", "add"}}.dump();
  };
  const char* check = "def check(f):\n    assert f(1, 2) == 3\n";
  const char* checked = "def check(f):\n    assert f(1, 2) == 3\n\ncheck(add)\n";
  const std::string good = "def add(a, b): return a + b\n", bad = "def add(a, b): return a - b\n";
  for (const char* prompt :
       {"def add(a, b):\n", "def add(a, b):", "def add(a, b):\n    # Adds.\n\n",
        "def add(a, b):\n    \"\"\"Adds.\"\"\"\n"}) {
    for (const char* test : {check, checked}) {
      CHECK(verdict(humaneval(prompt, test), bad) == VerdictKind::kWrongAnswer);
      CHECK(verdict(humaneval(prompt, test), "pass\n") == VerdictKind::kWrongAnswer);
      CHECK(verdict(humaneval(prompt, test), good) == VerdictKind::kPassed);
    }
  }
  CHECK(verdict(humaneval("def add(a, b):\n", checked), "    return a - b\n") ==
        VerdictKind::kWrongAnswer);
  CHECK(verdict(humaneval("def add(a, b):\n", checked), "    return a + b\n") ==
        VerdictKind::kPassed);
  for (const char* name : {"Solution().add", "Solution.add", "add"}) {
    const std::string task =
        nlohmann::json{{"fn_name", name}, {"inputs", {{1, 2}}}, {"outputs", {3}}}.dump();
    CHECK(verdict(task, "class Solution:\n  def add(self, a, b): return a - b\n") ==
          VerdictKind::kWrongAnswer);
    CHECK(verdict(task, "class Solution:\n  def add(self, a, b): return a + b\n") ==
          VerdictKind::kPassed);
  }
  const char* run = R"j({"test_list": ["assert asyncio.run(add(1, 2)) == 3"]})j";
  CHECK(verdict(run, "async def add(a, b): return a - b\n") == VerdictKind::kWrongAnswer);
  CHECK(verdict(run, "async def add(a, b): return a + b\n") == VerdictKind::kPassed);
}

TEST_CASE("code verdict: what tests of code see is plain data, and objects by reference") {
  if (!tests::test_sandbox()) return;
  CHECK(verdict(R"j({"test_list": ["assert f(2) == {'a': (1, 2.5, None), 'b': {True}}"]})j",
                "def f(x): return {'a': (1, 2.5, None), 'b': {True}}") == VerdictKind::kPassed);
  CHECK(verdict(R"j({"test_list": ["assert f('aab') == {'a': 2, 'b': 1}"]})j",
                "from collections import Counter\ndef f(x): return Counter(x)") ==
        VerdictKind::kPassed);
  CHECK(verdict(R"j({"test_list": ["assert list(f(3)) == [0, 1, 2]"]})j",
                "def f(x): return (i for i in range(x))") == VerdictKind::kPassed);
  CHECK(verdict(R"j({"test_list": ["assert total([Pair(1, 2), Pair(3, 4)]) == 4"]})j",
                "class Pair:\n  def __init__(self, a, b): self.a = a\n"
                "def total(pairs): return sum(p.a for p in pairs)") == VerdictKind::kPassed);
  CHECK(verdict(R"j({"test_list": ["try:\n  f(1)\n  assert False\nexcept ValueError:\n  pass"]})j",
                "def f(x): raise ValueError('as asked')") == VerdictKind::kPassed);
}

TEST_CASE("code verdict: output that breaks a checker is the program's fault") {
  if (!tests::test_sandbox()) return;
  const std::string checker =
      "import sys\na, b = map(int, open(sys.argv[2]).read().split())\nsys.exit(a + b != 10)\n";
  const std::string alone = nlohmann::json{{"inputs", {"10"}}, {"checker", checker}}.dump();
  const std::string with_answer =
      nlohmann::json{{"inputs", {"10"}}, {"outputs", {"4 6"}}, {"checker", checker}}.dump();
  for (const std::string& task : {alone, with_answer}) {
    CHECK(verdict(task, "print('abc')") == VerdictKind::kWrongAnswer);
    CHECK(verdict(task, "print(3, 7)") == VerdictKind::kPassed);
  }
  const std::string broken =
      nlohmann::json{{"inputs", {"10"}}, {"outputs", {"x"}}, {"checker", checker}}.dump();
  CHECK(verdict(broken, "print('abc')") == VerdictKind::kGoldUnparseable);
}

TEST_CASE("code verdict: what the program gives its tests is not held against them") {
  if (!tests::test_sandbox()) return;
  // The set-up breaks on what the program returns.
  CHECK(verdict(R"j({"test_setup_code": "data = make(3)[0]", "test_list": ["assert f(data)"]})j",
                "def make(n): return None\ndef f(x): return x") == VerdictKind::kRuntimeError);
  // An exception that a loop would take for its end.
  CHECK(verdict(R"j({"test_list": ["assert all(map(lambda x: f(x) == 1, [1, 2]))"]})j",
                "def f(x): raise StopIteration") == VerdictKind::kRuntimeError);
  // Its end is no exception that a test could expect.
  CHECK(verdict(R"j({"test_list":
                  ["try:\n  f(1)\nexcept Exception:\n  pass\nelse:\n  assert False"]})j",
                "import os\ndef f(x): os._exit(0)") == VerdictKind::kRuntimeError);
  // A library's name is the library's while the tests have another one for the program.
  const char* const kClose = R"j({"test_list": ["assert isclose(f(3), 1.5)"],
                                  "test_imports": ["from math import isclose"]})j";
  CHECK(verdict(kClose, "def f(x): return 0\ndef isclose(*a, **k): return True") ==
        VerdictKind::kWrongAnswer);
  CHECK(verdict(R"j({"test_list": ["assert f([1, 1]) == Counter([1, 1])"]})j",
                "def f(x): return Counter(x)\ndef Counter(x): return 1") != VerdictKind::kPassed);
  CHECK(verdict(R"j({"test_list": ["assert sum(10, 15) == 6"]})j", "def sum(a, b): return 6") ==
        VerdictKind::kPassed);
  CHECK(verdict(R"j({"test_list": ["assert sorted([2, 1]) == [1, 2]"]})j", "x = 1") ==
        VerdictKind::kRuntimeError);
  // What the tests want and this machine has not.
  CHECK(verdict(R"j({"prompt": "", "entry_point": "f",
                     "test": "def check(c):\n  import nonesuch\n  assert c(1)"})j",
                "def f(x): return x") == VerdictKind::kGoldUnparseable);
}

TEST_CASE("code verdict: programs end as the interpreter ends them") {
  if (!tests::test_sandbox()) return;
  const char* const kOne = R"j({"inputs": ["1\n"], "outputs": ["1\n"]})j";
  for (const char* code :
       {"import threading\ndef main(): print(input())\nthreading.Thread(target=main).start()",
        "import atexit, sys\nout = []\natexit.register(lambda: sys.stdout.write(''.join(out)))\n"
        "out.append(input())",
        "out = open(1, 'w')\nout.write(input())", "import sys\nprint(input())\nsys.stdout.close()",
        "import sys\nsys.setrecursionlimit(10**6)\nprint(input())\nsys.exit()"}) {
    CHECK(verdict(kOne, code) == VerdictKind::kPassed);
  }
  CHECK(verdict(kHumanEval, "from __future__ import annotations\n" + kSortedCopy) ==
        VerdictKind::kPassed);
  CHECK(verdict(R"j({"fn_name": "f", "inputs": [["aab"]], "outputs": [{"a": 2, "b": 1}]})j",
                "def f(x): return Counter(x)") == VerdictKind::kPassed);
}

// Programs that compute nothing. None may pass, whatever the format.
const char* const kTricks[] = {
    // Leave early.
    "import sys\nsys.exit(0)\n",
    "import os\nos._exit(0)\n",
    "raise SystemExit(0)\n",
    "import sys\ndef sorted_copy(items):\n    sys.exit(0)\n",
    "import os\ndef sorted_copy(items):\n    os._exit(0)\n",
    // Objects that claim to be equal to anything.
    "class Any:\n  def __eq__(self, other): return True\n  def __hash__(self): return 0\n"
    "def sorted_copy(items): return Any()\n",
    "class Int(int):\n  def __eq__(self, other): return True\n  __hash__ = int.__hash__\n"
    "def sorted_copy(items): return Int(1)\n",
    "class List(list):\n  def __eq__(self, other): return True\n"
    "def sorted_copy(items): return List()\n",
    "class Any:\n  __class__ = list\n  def __eq__(self, other): return True\n"
    "  def __iter__(self): return iter([])\n  def __len__(self): return 0\n"
    "def sorted_copy(items): return Any()\n",
    "class Meta(type):\n  def __instancecheck__(cls, other): return True\n"
    "  def __eq__(cls, other): return True\n  __hash__ = type.__hash__\n"
    "class Any(metaclass=Meta):\n  def __eq__(self, other): return True\n"
    "def sorted_copy(items): return Any()\n",
    // Look for the expected result in the caller's frames, or in every object there is.
    "import sys\ndef sorted_copy(items):\n    f = sys._getframe()\n    while f:\n"
    "        for v in list(f.f_locals.values()) + list(f.f_globals.values()):\n"
    "            if type(v) is list and v and v != items and sorted(v) == sorted(items): return v\n"
    "        f = f.f_back\n",
    "import gc\ndef sorted_copy(items):\n    for o in gc.get_objects():\n"
    "        if type(o) is list and o != items and len(o) == len(items) and o and "
    "type(o[0]) is int and set(o) == set(items): return o\n",
    // Change what the caller works with.
    "import sys\ndef sorted_copy(items):\n    f = sys._getframe()\n    while f:\n"
    "        for v in f.f_locals.values():\n            if type(v) is list: v.append(True)\n"
    "        f = f.f_back\n",
    "import builtins\nbuiltins.AssertionError = type('Never', (Exception,), {})\n"
    "builtins.sorted = lambda items: items\ndef sorted_copy(items): return items\n",
    "import sys, types\nfor name in ('json', 'unittest', 'pytest', 'operator'):\n"
    "    sys.modules[name] = types.ModuleType(name)\ndef sorted_copy(items): return items\n",
    "import __main__\nfor name in list(vars(__main__)):\n    if callable(getattr(__main__, "
    "name)):\n"
    "        setattr(__main__, name, lambda *a, **k: b'T')\ndef sorted_copy(items): return items\n",
    // Write frames to every descriptor, with every text that looks like a secret.
    "import os, sys, gc, re\ndef sorted_copy(items):\n    secrets = [o for o in gc.get_objects() "
    "if "
    "type(o) is bytes]\n    f = sys._getframe()\n    while f:\n"
    "        secrets += [v for v in f.f_locals.values() if type(v) is bytes]\n        f = "
    "f.f_back\n"
    "    for fd in range(3, 20):\n        for s in secrets + [b'']:\n            try:\n"
    "                os.write(fd, s + b' passed 3 3 \\n')\n"
    "                os.write(fd, s + b' exit 7\\nvalue N')\n            except OSError: pass\n"
    "    os._exit(0)\n",
    "import os\nfor fd in range(1, 20):\n    try: os.write(fd, b'00000006passed00000006ready ')\n"
    "    except OSError: pass\ndef sorted_copy(items): return items\n",
    // Ignore every signal and wait.
    "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except Exception: pass\nwhile True: pass\n",
    // Look for the tests in the box's files and in the memory of its processes.
    "import os\ndef sorted_copy(items):\n    for root in ('/box', '/tmp', '/dev/shm', '/proc/1', "
    "'/proc/self'):\n        for folder, _, names in os.walk(root):\n            for name in "
    "names:\n"
    "                try: text = open(os.path.join(folder, name), 'rb').read(1 << 20)\n"
    "                except Exception: continue\n                if b'[1, 2, 3]' in text: "
    "return [1, 2, 3]\n    return None\n",
    // Remember earlier runs.
    "import os\ndef sorted_copy(items):\n    n = len(os.listdir('/tmp')) + "
    "len(os.listdir('/dev/shm'))\n"
    "    open('/tmp/%d' % n, 'w').close()\n    return [[1, 2, 3], [], [-5, 5]][n % 3] if n else "
    "None\n",
};

TEST_CASE("code verdict: no trick passes in any format") {
  if (!tests::test_sandbox()) return;
  for (const char* trick : kTricks) {
    for (const std::string& task : {kHumanEval, kMbpp, kFunction, kStdio}) {
      CAPTURE(trick);
      CAPTURE(task);
      CodeTask quick = task_of(task);
      quick.seconds = 1;
      const CodeVerdict verdict = verify_code(*tests::test_sandbox(), quick, trick);
      CAPTURE(verdict.reason);
      CHECK(verdict.kind != VerdictKind::kPassed);
      // It is the program's fault and nobody else's.
      CHECK(is_payable(verdict.kind));
    }
  }
  CHECK(verdict(kMbpp, kSortedCopy) == VerdictKind::kPassed);
}

TEST_CASE("code verdict: printing every answer is no answer") {
  if (!tests::test_sandbox()) return;
  CHECK(verdict(kStdio, "print('1 2 3')\nprint('-5 5')") == VerdictKind::kWrongAnswer);
}

TEST_CASE("code verdict: a result is bounded in size and depth") {
  if (!tests::test_sandbox()) return;
  for (const char* code :
       {"def sorted_copy(items):\n    x = []\n    for _ in range(10**5): x = [x]\n"
        "    return x\n",
        "def sorted_copy(items):\n    x = []\n    x.append(x)\n    return x\n",
        "def sorted_copy(items):\n    return 'x' * (1 << 25)\n",
        "import itertools\ndef sorted_copy(items):\n"
        "    return (0 for _ in itertools.count())\n"}) {
    for (const std::string& task : {kMbpp, kFunction}) {
      CAPTURE(code);
      const CodeVerdict verdict = verify_code(*tests::test_sandbox(), task_of(task), code);
      CAPTURE(verdict.reason);
      CHECK(verdict.kind != VerdictKind::kPassed);
      CHECK(is_payable(verdict.kind));
    }
  }
}

TEST_CASE("code verdict: the same program has the same verdict, in any order and on 8 threads") {
  if (!tests::test_sandbox()) return;
  const std::vector<std::pair<std::string, VerdictKind>> programs = {
      {kSortedCopy, VerdictKind::kPassed},
      {"def sorted_copy(items):\n    return items[::-1]\n", VerdictKind::kWrongAnswer},
      {"def sorted_copy(items):\n    return items[0]\n", VerdictKind::kWrongAnswer},
      {"def sorted_copy(items):\n    return hash(str(items))\n", VerdictKind::kWrongAnswer},
      {"def sorted_copy(items:\n", VerdictKind::kCompileError},
  };
  constexpr size_t kRepeats = 20;
  std::vector<size_t> order(programs.size() * kRepeats);
  std::iota(order.begin(), order.end(), size_t{0});
  kernels::RandomStream random(3, kernels::StreamId::kMakeData, 0, 98);
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  const CodeTask task = task_of(kFunction);
  std::vector<std::string> reasons(order.size());
  std::vector<VerdictKind> kinds(order.size());
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (size_t k = next++; k < order.size(); k = next++) {
        const auto verdict =
            verify_code(*tests::test_sandbox(), task, programs[order[k] % programs.size()].first);
        kinds[order[k]] = verdict.kind;
        reasons[order[k]] = verdict.reason;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < order.size(); ++i) {
    CAPTURE(reasons[i]);
    CHECK(kinds[i] == programs[i % programs.size()].second);
    CHECK(reasons[i] == reasons[i % programs.size()]);
  }
}

}  // namespace
}  // namespace troupe::actors
