#include "actors/verifier/code/code_text.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

std::string code_in(std::string_view response, std::string language = "python") {
  const ExtractedCode found = extract_code(response, {.language = std::move(language)});
  CHECK(found.code.has_value() == found.reason.empty());
  return found.code.value_or("none");
}

TEST_CASE("code text: the last closed block in the language counts") {
  CHECK(code_in("```python\nx = 1\n```") == "x = 1\n");
  CHECK(code_in("First:\n```python\na\n```\nBetter:\n```py\nb\n```\nDone.") == "b\n");
  CHECK(code_in("```\nx\n```") == "x\n");
  CHECK(code_in("```Python3\nx\n```") == "x\n");
  CHECK(code_in("```cpp\nint x;\n```\n```python\ny\n```", "cpp") == "int x;\n");
  CHECK(code_in("```python\ny\n```", "cpp") == "none");
  CHECK(code_in("```python\na\n```\n```python\ncut off") == "a\n");
  CHECK(code_in("```python\ncut off") == "none");
  CHECK(code_in("```python\nx\n```\nOutput:\n```\n2\n```") == "x\n");
  CHECK(code_in("```python title=\"f.py\"\nx\n```") == "x\n");
  CHECK(code_in("```Python 3\nx\n```") == "x\n");
  CHECK(code_in("```cpp17\nx\n```", "cpp") == "x\n");
  CHECK(code_in("1. Do:\n   ```python\n   if x:\n     y\n   ```\n") == "if x:\n  y\n");
}

TEST_CASE("code text: only after the thoughts, and inside the one answer") {
  CHECK(code_in("<think>```python\nx\n```</think> I do not know") == "none");
  CHECK(code_in("<think>a</think><answer>def f(x): return x</answer>") == "def f(x): return x");
  CHECK(code_in("<answer> def f(x): return x </answer>") == "def f(x): return x ");
  CHECK(code_in("<answer>\n```python\nx\n```\n</answer>") == "x\n");
  CHECK(code_in("```python\nno\n```<answer>yes</answer>") == "yes");
  CHECK(code_in("<answer>a</answer><answer>b</answer>") == "none");
  CHECK(code_in("</answer>a<answer>") == "none");
  CHECK(code_in("<answer>  </answer>") == "none");
  CHECK(code_in("def f(x): return x") == "none");
  CHECK(code_in("") == "none");
}

TEST_CASE("code text: fences as people write them") {
  CHECK(code_in("~~~python\nx\n~~~") == "x\n");
  CHECK(code_in("````python\ns = '```'\n```\ny\n````") == "s = '```'\n```\ny\n");
  CHECK(code_in("~~~py\n```\nx\n~~~~") == "```\nx\n");
  CHECK(code_in("```python\nprint(1)```") == "print(1)");
  CHECK(code_in("```python\nprint(1)```\nThat is it:\n```\n1\n```") == "print(1)");
  CHECK(code_in("Here: ```python\nx\n```") == "x\n");
  CHECK(code_in("The code is ```\nx\n```") == "x\n");
  CHECK(code_in("- ```python\n  if x:\n    y\n  ```") == "if x:\n  y\n");
  CHECK(code_in("1. ```python\n   x\n   ```\n2. done") == "x\n");
  CHECK(code_in("  ```python\nif x:\n  y\n  ```") == "if x:\n  y\n");
  CHECK(code_in("```python\r\nx\r\n```\r\n") == "x\r\n");
  CHECK(code_in("```markdown\nSee:\n```python\nx\n```\n```") == "x\n");
  CHECK(code_in("```python\n# as in `f` and ```g``` here\nx\n```") ==
        "# as in `f` and ```g``` here\nx\n");
  // Inline code opens nothing.
  CHECK(code_in("Use ```x = 1``` so:\n```python\ny\n```") == "y\n");
  CHECK(code_in("```x``` is a name\n```python\ny\n```") == "y\n");
  // Cut off: a fence of another kind or a shorter one closes nothing.
  CHECK(code_in("```python\nx\n~~~") == "none");
  CHECK(code_in("````python\nx\n```") == "none");
  CHECK(code_in("```python\nfirst, cut\n```python\nsecond\n```") == "second\n");
  CHECK(code_in("```") == "none");
  CHECK(code_in("Here: ```python") == "none");
}

std::string meant(std::string_view response, const WantedProgram& wanted) {
  return extract_code(response, wanted).code.value_or("none");
}

TEST_CASE("code text: of several blocks one is meant, and which is told from the text only") {
  const WantedProgram add{.is_whole = false, .names = {"add"}};
  const std::string solution = "def add(a, b):\n    return a + b\n";
  const std::string block = "```python\n" + solution + "```\n";
  for (const char* after :
       {"Usage:\n```python\nprint(add(1, 2))\n```", "```python\nassert add(1, 2) == 3\n```",
        "```python\ndef test_add():\n    assert add(1, 2) == 3\n```",
        "```python\nfrom solution import add\nprint(add(1, 2))\n```", "```\n3\n```",
        "```bash\npython add.py\n```", "```python\nresult = add(1, 2)\n```",
        "```python\nadd = add(1, 2)\n```",
        "```python\nclass TestAdd:\n    def add(self): pass\n```",
        "```text\ndef add(a, b): 1\n```"}) {
    CAPTURE(after);
    CHECK(meant(block + after, add) == solution);
  }
  CHECK(meant("```python\ndef helper(): pass\n```\n" + block + "```python\nadd(1, 2)\n```", add) ==
        solution);
  // A corrected version comes later, whatever it is made with.
  for (const char* second : {"def add(a, b):\n    return b + a\n", "add = lambda a, b: b + a\n",
                             "class add:\n    pass\n", "async def add(a, b): pass\n"}) {
    CAPTURE(second);
    const std::string later = "```python\n" + std::string(second) + "```";
    CHECK(meant(block + later, add) == second);
    CHECK(meant("```python\nx = 1\n```\n" + later, add) == second);
  }
  const std::string method = "class Solution:\n    def add(self, a, b):\n        return a + b\n";
  CHECK(meant("```python\n" + method + "```\n```python\nprint(Solution().add(1, 2))\n```", add) ==
        method);
  // A method of another class is no definition, and neither is the name inside another.
  CHECK(meant(block + "```python\nclass T:\n    def add(self): pass\n```", add) == solution);
  CHECK(meant(block + "```python\ndef adder(): pass\n```", add) == solution);
  // Without a label it is meant all the same where only it defines the function.
  CHECK(meant("```\n" + solution + "```\n```python\nprint(add(1, 2))\n```", add) == solution);
  CHECK(meant(block + "```\ndef add(a, b): ...\n```", add) == solution);
  // Nothing defines it: the last.
  CHECK(meant("```python\na = 1\n```\n```python\nb = 2\n```", add) == "b = 2\n");
  const WantedProgram body{.is_whole = false, .names = {"add"}, .may_be_body = true};
  CHECK(meant("```python\n    return a + b\n```\n```python\nprint(add(1, 2))\n```", body) ==
        "    return a + b\n");
}

TEST_CASE("code text: a whole program is the block that reads its input") {
  const WantedProgram python{};
  for (const char* code :
       {"print(sum(map(int, input().split())))\n", "import sys\nprint(sys.stdin.read())\n",
        "print(open(0).read())\n", "from sys import stdin\nprint(stdin.readline())\n",
        "import fileinput\n"}) {
    CAPTURE(code);
    const std::string block = "```python\n" + std::string(code) + "```\n";
    CHECK(meant(block + "Example:\n```python\nprint('sum is', 1 + 2)\n```", python) == code);
    CHECK(meant(block + "```\n3\n```", python) == code);
    CHECK(meant("```python\ndef f(): pass\n```\n" + block, python) == code);
    CHECK(meant(block + "```python\nimport io, sys\nsys.stdin = io.StringIO('1 2')\n```", python) ==
          code);
    CHECK(meant(block + "```python\nn = input()\n```", python) == "n = input()\n");
  }
  CHECK(meant("```python\nprint(1)\n```\n```python\nprint(2)\n```", python) == "print(2)\n");
  CHECK(meant("```python\nx_input(3)\n```\n```python\nprint(2)\n```", python) == "print(2)\n");
  const WantedProgram cpp{.language = "cpp"};
  const std::string program = "int main() { int a; std::cin >> a; }\n";
  CHECK(meant("```cpp\n" + program + "```\n```cpp\nint half(int a) { return a / 2; }\n```", cpp) ==
        program);
  CHECK(meant("```cpp\n" + program + "```\n```cpp\nint main() { test(); }\n```", cpp) == program);
  CHECK(meant("```cpp\n" + program + "```\n```python\nprint(input())\n```\n```\n1\n```", cpp) ==
        program);
  CHECK(meant("```c++\nint domain(int);\n```\n```c++\nint b;\n```", cpp) == "int b;\n");
}

TEST_CASE("code text: the names that tests call") {
  CodeTask task;
  task.format = CodeFormat::kMbpp;
  task.test_sources = {"assert f(g(1), x.h(2)) == k", "assert 1e5 (2)"};
  const WantedProgram wanted = wanted_program(task);
  CHECK_FALSE(wanted.is_whole);
  CHECK(wanted.names == std::vector<std::string>{"f", "g"});
  task.function = "only";
  CHECK(wanted_program(task).names == std::vector<std::string>{"only"});
  task.format = CodeFormat::kStdio;
  CHECK(wanted_program(task).is_whole);
}

TEST_CASE("code text: many blocks and many fences take no more than their length") {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "```python\ndef add(): pass\n```\n";
  CHECK(meant(text, {.is_whole = false, .names = {"add"}}) == "def add(): pass\n");
  CHECK(meant(std::string(1'000'000, '`'), {}) == "none");
  CHECK(meant(std::string(500'000, '\n') + "```", {}) == "none");
}

}  // namespace
}  // namespace troupe::actors
