#include "actors/verifier/code/code_layouts.h"

#include <doctest/doctest.h>

#include <string>

#include "actors/verifier/code/code_task.h"

namespace troupe::actors {
namespace {

Result<CodeTask> read(const std::string& json) {
  auto value = value_from_json(json);
  REQUIRE_MESSAGE(value, value.error().message);
  return read_code_task(*value, {});
}

std::string refusal(const std::string& json) {
  CAPTURE(json);
  auto task = read(json);
  REQUIRE_FALSE(task);
  CHECK(task.error().code == ErrorCode::kInvalidArgument);
  return task.error().message;
}

CodeTask good(const std::string& json) {
  CAPTURE(json);
  auto task = read(json);
  REQUIRE_MESSAGE(task, task.error().message);
  return *task;
}

bool has(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CAPTURE(part);
  return text.find(part) != std::string::npos;
}

TEST_CASE("code layouts: rows without tests, or with two kinds, are refused in words") {
  // What was there is named.
  CHECK(has(refusal(R"j({"prompt": "p", "answer": "7"})j"), "no tests"));
  CHECK(has(refusal(R"j({"tests": "see below"})j"), "tests is 'see below'"));
  CHECK(has(refusal(R"j({"examples": ["2 + 2 = 4"]})j"), "examples is a list of 1"));
  CHECK(has(refusal(R"j({"ground_truth": "42"})j"), "ground_truth is '42'"));
  CHECK(has(refusal(R"j({"test": "assert True", "inputs": null})j"), "test is 'assert True'"));
  CHECK(has(refusal(R"j({"inputs": "1 2", "outputs": "3"})j"), "inputs is no list, but '1 2'"));
  CHECK(has(refusal(R"j({"inputs": {"a": 1}, "outputs": ["3"]})j"), "an object"));
  CHECK(has(refusal(R"j({"inputs": ["1"], "outputs": [null]})j"), "item 0"));
  CHECK(has(refusal(R"j({"inputs": ["1"], "outputs": [{"a": 1}]})j"), "an object"));
  CHECK(has(refusal(R"j({"input_output": "{\"inputs\": [], \"outputs\": []}"})j"), "input_output"));
  CHECK(has(refusal(R"j({"input_output": "{\"inputs\": [1"})j"), "input_output"));
  CHECK(has(refusal(R"j({"input_output": {"inputs": ["1", "2"], "outputs": ["1"]}})j"), "2 and 1"));
  CHECK(has(refusal(R"j({"tests": [{"input": "1", "output": "1"}, {"input": "2"}]})j"),
            "item 1: it has no output"));
  CHECK(has(refusal(R"j({"tests": [{"input": "1", "output": "1"}, "2"]})j"), "item 1"));
  CHECK(has(refusal(R"j({"tests": [{"input": "1", "output": "1", "type": "stdin"},
                               {"input": "1", "output": "1", "type": "functional"}]})j"),
            "another type"));
  CHECK(has(refusal(R"j({"tests": [{"input": "1", "output": "1", "type": "stdin"},
                               {"input": "1", "output": "1"}]})j"),
            "another type"));
  CHECK(has(refusal(R"j({"tests": [{"input": "1", "output": "1", "type": "gui"}]})j"), "'gui'"));
  CHECK(has(refusal(R"j({"tests": [{"input": [1], "output": 1, "type": "function_call"}]})j"),
            "fn_name"));
  CHECK(has(refusal(R"j({"tests": [{"input": [1], "output": 1, "fn_name": "f"},
                               {"input": [1], "output": 1, "fn_name": "g"}]})j"),
            "fn_name"));
  CHECK(has(refusal(R"j({"fn_name": "f", "tests": [{"input": {"a": 1}, "output": 1}]})j"),
            "by name"));
  CHECK(has(refusal(R"j({"verification_info": {"language": "ruby",
                     "test_cases": [{"input": "1", "output": "1"}]}})j"),
            "'ruby'"));
  CHECK(has(refusal(R"j({"language": "cpp", "verification_info": {"language": "python",
                     "test_cases": [{"input": "1", "output": "1"}]}})j"),
            "cpp"));
  // A packed pickle would run code when it is read.
  const std::string packed = refusal(
      R"j({"public_test_cases": "[{\"input\": \"1\", \"output\": \"1\", \"testtype\": \"stdin\"}]",
           "private_test_cases": "eJxrYJmayc8ABtYAEhYCyQ=="})j");
  CHECK(has(packed, "private_test_cases"));
  CHECK(has(packed, "pickle"));
  // Two layouts that say different things.
  const std::string two =
      refusal(R"j({"inputs": ["1"], "outputs": ["1"], "test_list": ["assert f(1)"]})j");
  CHECK(has(two, "inputs"));
  CHECK(has(two, "test_list"));
  CHECK(has(refusal(R"j({"tests": [{"input": "1", "output": "1"}],
                     "examples": [{"input": "2", "output": "2"}]})j"),
            "examples"));
  CHECK(has(refusal(R"j({"public_tests": {"input": ["1"], "output": []}})j"), "public_tests"));
  CHECK(has(refusal(R"j({"ground_truth": {"inputs": ["1"], "outputs": 7}})j"), "ground_truth"));
  CHECK(
      has(refusal(R"j({"ground_truth": {"ground_truth": {"ground_truth": "{}"}}})j"), "no tests"));
  CHECK(has(refusal(R"j({"language": 1, "inputs": ["1"], "outputs": ["1"]})j"), "the number 1"));
  CHECK(has(refusal(R"j({"language": 4, "inputs": ["1"], "outputs": ["1"]})j"), "language"));
  CHECK(
      has(refusal(R"j({"language": "Python 2", "inputs": ["1"], "outputs": ["1"]})j"), "Python 2"));
}

void check_stream(const std::string& json, const std::string& input = "1 2",
                  const std::string& output = "3") {
  CAPTURE(json);
  const CodeTask task = good(json);
  CHECK(task.format == CodeFormat::kStdio);
  REQUIRE(task.tests.size() >= 1);
  CHECK(task.tests[0].input == input);
  CHECK(task.tests[0].output == output);
}

TEST_CASE("code layouts: tests of whole programs") {
  for (
      const char* row : {
          R"j({"inputs": ["1 2"], "outputs": ["3"], "fn_name": null, "test_list": null})j",
          R"j({"inputs": ["1 2"], "outputs": ["3"], "fn_name": "", "test_list": [], "tests": ""})j",
          R"j({"inputs": "[\"1 2\"]", "outputs": "[\"3\"]"})j",
          R"j({"input_output": "{\"inputs\": [\"1 2\"], \"outputs\": [\"3\"]}"})j",
          R"j({"input_output": {"inputs": ["1 2"], "outputs": [3]}})j",
          R"j({"ground_truth": "{\"inputs\": [\"1 2\"], \"outputs\": [\"3\"]}"})j",
          R"j({"ground_truth": {"inputs": ["1 2"], "outputs": ["3"]}})j",
          R"j({"ground_truth": "[{\"input\": \"1 2\", \"output\": \"3\"}]"})j",
          R"j({"prompt": [{"role": "user", "content": "q"}],
                "reward_model": {"style": "rule", "ground_truth":
                "{\"inputs\": [\"1 2\"], \"outputs\": [\"3\"]}"}})j",
          R"j({"reward_model": {"ground_truth": {"input_output":
                "{\"inputs\": [\"1 2\"], \"outputs\": [\"3\"]}"}}})j",
          R"j({"verification_info": {"language": "python", "test_cases":
                [{"input": "1 2", "output": "3", "type": "stdin_stdout"}]}})j",
          R"j({"verification_info": "{\"language\": \"Python3\", \"test_cases\": )j"
          R"j([{\"input\": \"1 2\", \"output\": \"3\", \"fn_name\": null}]}"})j",
          R"j({"tests": [{"input": "1 2", "output": "3"}]})j",
          R"j({"tests": "[{\"input\": \"1 2\", \"output\": \"3\", \"testtype\": \"stdin\"}]"})j",
          R"j({"test_cases": [{"stdin": "1 2", "stdout": "3"}]})j",
          R"j({"unit_tests": [{"input": "1 2", "expected_output": "3"}]})j",
          R"j({"examples": [{"input": "1 2", "output": "3", "explanation": "1 + 2"}]})j",
          R"j({"test_cases": {"input": ["1 2"], "output": ["3"]}})j",
          R"j({"tests": {"inputs": ["1 2"], "outputs": ["3"]}})j",
          R"j({"tests": {"inputs": ["1 2"], "outputs": ["3"], "fn_name": null}})j",
          R"j({"public_tests": {"input": ["1 2"], "output": ["3"]}, "private_tests":
                {"input": [], "output": []},
                "generated_tests": {"input": ["4"], "output": ["4"]}})j",
          R"j({"public_test_cases":
                "[{\"input\": \"1 2\", \"output\": \"3\", \"testtype\": \"stdin\"}]",
                "metadata": "{}", "starter_code": ""})j",
          R"j({"tests": [{"input": "1 2", "output": "3"}, {"input": "2 2", "output": "4"}],
                "examples": [{"input": "1 2", "output": "3\n"}]})j",
          R"j({"format": "stdio", "inputs": ["1 2"], "outputs": ["3"], "fn_name": "f"})j",
      }) {
    check_stream(row);
  }
  CHECK(good(R"j({"public_tests": {"input": ["1"], "output": ["1"]},
                  "private_tests": {"input": ["2", "3"], "output": ["2", "3"]}})j")
            .tests.size() == 3);
  CHECK(good(R"j({"public_test_cases": [{"input": "1", "output": "1", "testtype": "stdin"}],
                  "private_test_cases":
                  "[{\"input\": \"2\", \"output\": \"2\", \"testtype\": \"stdin\"}]"})j")
            .tests.size() == 2);
  // The one with more tests, in whichever order the columns are looked at.
  CHECK(good(R"j({"tests": [{"input": "1", "output": "1"}],
                  "official_tests": [{"input": "1", "output": "1"}, {"input": "2", "output": "2"}]
})j")
            .tests.size() == 2);
  // As JSON writes it.
  check_stream(R"j({"inputs": ["1"], "outputs": [0.5]})j", "1", "0.5");
  check_stream(R"j({"inputs": [1.50], "outputs": [1e-7]})j", "1.50", "1e-7");
  check_stream(R"j({"inputs": [true], "outputs": [false]})j", "true", "false");
  check_stream(R"j({"inputs": [["1", 2]], "outputs": [[3]]})j", "1\n2\n", "3\n");
  check_stream(R"j({"inputs": [""], "outputs": ["3"]})j", "", "3");
}

TEST_CASE("code layouts: tests of functions") {
  for (const char* row : {
           R"j({"fn_name": "f", "inputs": [[1, 2]], "outputs": [3]})j",
           R"j({"input_output": "{\"fn_name\": \"f\", \"inputs\": [[1, 2]], \"outputs\": [3]}"})j",
           R"j({"fn_name": "f", "inputs": "[[1, 2]]", "outputs": "[3]"})j",
           R"j({"public_test_cases":
                "[{\"input\": \"1\\n2\", \"output\": \"3\", \"testtype\": \"functional\"}]",
                "metadata": "{\"func_name\": \"f\"}", "starter_code": "class Solution: ..."})j",
           R"j({"public_test_cases":
                [{"input": "1\n2", "output": "3", "testtype": "functional"}], "metadata": "{}",
                "starter_code": "class Solution:\n    def f(self, a: int, b: int) -> int:\n"})j",
           R"j({"verification_info": {"language": "python", "test_cases":
                [{"input": [1, 2], "output": 3, "type": "function_call", "fn_name": "f"}]}})j",
           R"j({"tests": [{"input": "1\n2", "output": "3", "fn_name": "f"}]})j",
           R"j({"fn_name": "f", "tests": [{"input": "1\n2", "output": "3"}]})j",
           R"j({"tests": {"inputs": [[1, 2]], "outputs": [3], "fn_name": "f"}})j",
           R"j({"ground_truth": {"fn_name": "f", "inputs": [[1, 2]], "outputs": [3]}})j",
       }) {
    CAPTURE(row);
    const CodeTask task = good(row);
    CHECK(task.format == CodeFormat::kFunction);
    CHECK(task.function == "f");
    REQUIRE(task.tests.size() == 1);
    CHECK(task.tests[0].arguments.size() == 2);
    CHECK(task.tests[0].result.text == "3");
  }
}

TEST_CASE("code layouts: tests that are code") {
  const CodeTask pytest =
      good(R"j({"test": "from solution import f\ndef test_f():\n  assert f(1)"})j");
  CHECK(pytest.format == CodeFormat::kPytest);
  CHECK(good(R"j({"test": "class TestF:\n    def test_f(self): pass"})j").format ==
        CodeFormat::kPytest);
  CHECK(good(R"j({"tests": "def test_f():\n  assert f(1)"})j").format == CodeFormat::kPytest);
  const CodeTask asserts = good(R"j({"test_cases": ["assert f(1) == 1", "assert f(2) == 2"]})j");
  CHECK(asserts.format == CodeFormat::kMbpp);
  CHECK(asserts.test_sources.size() == 2);
  CHECK(good(R"j({"tests": "x = 1\nassert f(x) == 1"})j").format == CodeFormat::kMbpp);
  CHECK(good(R"j({"ground_truth": "assert f(1) == 1"})j").format == CodeFormat::kMbpp);
  CHECK(good(R"j({"reward_model": {"ground_truth": "[\"assert f(1) == 1\"]"}})j").format ==
        CodeFormat::kMbpp);
  // A column of another meaning is no layout.
  CHECK(good(R"j({"inputs": "What is f?", "tests": ["assert f(1) == 1"]})j").format ==
        CodeFormat::kMbpp);
  CHECK(good(R"j({"test_list": "[\"assert f(1)\", \"assert f(2)\"]"})j").test_sources.size() == 2);
  const CodeTask method =
      good(R"j({"prompt": "", "test": "def check(c): c(1)", "entry_point": "Solution().f"})j");
  CHECK(method.format == CodeFormat::kHumanEval);
  CHECK(method.function == "f");
  CHECK(good(R"j({"test_list": ["assert f(1)"], "entry_point": null, "test": null,
                  "inputs": null, "language": null, "seconds": null})j")
            .format == CodeFormat::kMbpp);
}

TEST_CASE("code layouts: languages by name and number") {
  const auto language = [](const std::string& value) {
    return good("{\"inputs\": [\"1\"], \"outputs\": [\"1\"], \"language\": " + value + "}")
        .language;
  };
  CHECK(language("\"Python\"") == "python");
  CHECK(language("\"PYTHON3\"") == "python");
  CHECK(language("\"C++17\"") == "cpp");
  CHECK(language("\"C\"") == "c");
  CHECK(language("2") == "cpp");
  CHECK(language("3") == "python");
  CHECK(
      good(R"j({"inputs": ["1"], "checker": "c", "checker_language": "C++"})j").checker_language ==
      "cpp");
}

}  // namespace
}  // namespace troupe::actors
