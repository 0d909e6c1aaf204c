#include "actors/verifier/code/code_text.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

std::string code_in(std::string_view response, std::string_view language = "python") {
  const ExtractedCode found = extract_code(response, language);
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

}  // namespace
}  // namespace troupe::actors
