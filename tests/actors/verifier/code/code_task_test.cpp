#include "actors/verifier/code/code_task.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

Result<CodeTask> read(const std::string& json) {
  auto value = value_from_json(json);
  REQUIRE_MESSAGE(value, value.error().message);
  return read_code_task(*value, {});
}

CodeTask good(const std::string& json) {
  CAPTURE(json);
  auto task = read(json);
  REQUIRE_MESSAGE(task, task.error().message);
  return *task;
}

std::string refusal(const std::string& json) {
  CAPTURE(json);
  auto task = read(json);
  REQUIRE_FALSE(task);
  CHECK(task.error().code == ErrorCode::kInvalidArgument);
  return task.error().message;
}

TEST_CASE("code task: the sets' own fields tell the format") {
  const CodeTask human = good(R"j({"prompt": "def f():", "test": "t", "entry_point": "f"})j");
  CHECK(human.format == CodeFormat::kHumanEval);
  CHECK(human.function == "f");
  CHECK(human.test_sources == std::vector<std::string>{"t"});
  const CodeTask mbpp = good(
      R"j({"test_list": ["assert f(1)", "assert f(2)"], "test_setup_code": "import math"
})j");
  CHECK(mbpp.format == CodeFormat::kMbpp);
  CHECK(mbpp.test_sources.size() == 2);
  CHECK(mbpp.before_tests == "import math\n");
  const CodeTask stdio = good(R"j({"inputs": ["1\n", ["2", "3"]], "outputs": ["1", 6]})j");
  CHECK(stdio.format == CodeFormat::kStdio);
  CHECK(stdio.tests[1].input == "2\n3\n");
  CHECK(stdio.tests[1].output == "6");
  const CodeTask judge = good(R"j({"inputs": ["1"], "checker": "c", "language": "cpp"})j");
  CHECK(judge.format == CodeFormat::kJudge);
}

TEST_CASE("code task: arguments as lines of JSON or as lists") {
  const CodeTask lines = good(R"j({"fn_name": "f", "inputs": ["[1, 2]\n3"], "outputs": ["[3]"]})j");
  REQUIRE(lines.tests.size() == 1);
  CHECK(lines.tests[0].arguments.size() == 2);
  CHECK(lines.tests[0].result.kind == Value::Kind::kList);
  CHECK_FALSE(lines.tests[0].has_unwrapped_result);
  // Where one result is no list of one, none is wrapped.
  const CodeTask mixed =
      good(R"j({"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1, 2, 3], [7]]})j");
  CHECK_FALSE(mixed.tests[1].has_unwrapped_result);
  const CodeTask lists = good(R"j({"fn_name": "f", "inputs": [[1, 2]], "outputs": [[3]]})j");
  CHECK(lists.tests[0].arguments.size() == 2);
  CHECK(lists.tests[0].has_unwrapped_result);
}

TEST_CASE("code task: limits have defaults and bounds") {
  const CodeTask task =
      good(R"j({"inputs": ["1"], "outputs": ["1"], "seconds": 2.5, "memory_mb": 64})j");
  CHECK(task.seconds == 2.5);
  CHECK(task.memory_mb == 64);
  CHECK(good(R"j({"inputs": ["1"], "outputs": ["1"]})j").seconds == CodeTask{}.seconds);
  for (const std::string limit : {"\"seconds\": 0", "\"seconds\": -1", "\"seconds\": 1e9",
                                  "\"seconds\": \"2\"", "\"memory_mb\": 1"}) {
    const std::string said = refusal("{\"inputs\": [\"1\"], \"outputs\": [\"1\"], " + limit + "}");
    CHECK(said.find(limit.substr(1, 6)) != std::string::npos);
  }
}

TEST_CASE("code task: a refusal names the field") {
  CHECK(refusal("{}").find("inputs") != std::string::npos);
  CHECK(refusal("[]").find("object") != std::string::npos);
  CHECK(refusal(R"j({"inputs": [], "outputs": []})j").find("inputs") != std::string::npos);
  CHECK(refusal(R"j({"inputs": ["1"]})j").find("outputs") != std::string::npos);
  CHECK(refusal(R"j({"inputs": ["1"], "outputs": []})j").find("outputs") != std::string::npos);
  CHECK(refusal(R"j({"inputs": ["1", "2"], "outputs": ["1"]})j").find("number") !=
        std::string::npos);
  CHECK(refusal(R"j({"inputs": ["1"], "outputs": [null]})j").find("no text") != std::string::npos);
  CHECK(refusal(R"j({"format": "humaneval", "prompt": "", "test": ""})j").find("entry_point") !=
        std::string::npos);
  CHECK(refusal(R"j({"format": "x", "inputs": ["1"], "outputs": ["1"]})j").find("stdio") !=
        std::string::npos);
  CHECK(refusal(R"j({"language": "ruby", "inputs": ["1"], "outputs": ["1"]})j").find("python") !=
        std::string::npos);
  CHECK(refusal(R"j({"language": "cpp", "fn_name": "f", "inputs": [[1]], "outputs": [1]})j")
            .find("cpp") != std::string::npos);
  CHECK(refusal(R"j({"fn_name": "f", "inputs": ["[1"], "outputs": ["1"]})j").find("item 0") !=
        std::string::npos);
  CHECK(refusal(R"j({"test_list": []})j").find("test_list") != std::string::npos);
  CHECK(refusal(R"j({"test_list": [1]})j").find("test_list") != std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
