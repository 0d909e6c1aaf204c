// troupe verify: JSON lines in, JSON lines out, in their order.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/test_sandbox.h"

namespace troupe::cluster {
namespace {

using nlohmann::json;
using tests::Ended;
using tests::Process;

Ended verify(std::vector<std::string> arguments, const std::string& input) {
  arguments.insert(arguments.begin(), "verify");
  return Process({.arguments = arguments, .input = input}).wait();
}

std::vector<json> rows(const std::string& out) {
  std::vector<json> rows;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    rows.push_back(json::parse(line));
    std::vector<std::string> keys;
    for (const auto& [key, value] : rows.back().items()) keys.push_back(key);
  }
  return rows;
}

TEST_CASE("verify math: one line for each, with all fields") {
  const Ended ended = verify({"math"},
                             "{\"gold\": \"5\", \"answer\": \"5.0\"}\n"
                             "\n"
                             "{\"gold\": \"5\", \"answer\": \"6\"}\n"
                             "{\"gold\": \"5\", \"response\": \"So \\\\boxed{5}.\"}\n"
                             "{\"gold\": \"5\", \"response\": \"I do not know\"}\n"
                             "{\"gold\": \"\", \"answer\": \"5\"}");
  CHECK(ended.exit_code == 0);
  const auto lines = rows(ended.out);
  REQUIRE(lines.size() == 5);
  const char* verdicts[] = {"equal", "different", "equal", "no_answer", "gold_unparseable"};
  for (size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i]["verdict"] == verdicts[i]);
    CHECK(lines[i]["reason"].is_string());
    CHECK(lines[i]["milliseconds"].is_number());
    CHECK(lines[i].contains("extracted"));
  }
  CHECK(lines[0]["score"] == 1.0);
  CHECK(lines[1]["score"] == 0.0);
  CHECK(lines[2]["extracted"] == "5");
  CHECK(lines[3]["score"] == 0.0);
  CHECK(lines[4]["score"].is_null());
}

TEST_CASE("verify math: a gold may be a number, or a list of which any is right") {
  const Ended ended =
      verify({"math"},
             "{\"gold\": 123456789012345678901, \"answer\": \"123456789012345678901\"}\n"
             "{\"gold\": 0.5, \"answer\": \"1/2\"}\n"
             "{\"gold\": [\"7\", 8], \"answer\": \"8\"}\n"
             "{\"gold\": [\"7\", 8], \"answer\": \"9\"}\n"
             "{\"gold\": [], \"answer\": \"9\"}\n"
             "{\"gold\": [[7]], \"answer\": \"7\"}");
  CHECK(ended.exit_code == 2);
  const auto lines = rows(ended.out);
  REQUIRE(lines.size() == 6);
  for (size_t i = 0; i < 3; ++i) CHECK(lines[i]["verdict"] == "equal");
  CHECK(lines[3]["verdict"] == "different");
  for (size_t i = 4; i < 6; ++i)
    CHECK(lines[i]["error"].get<std::string>().find("gold") != std::string::npos);
}

TEST_CASE("verify math: many lines on many threads keep their order") {
  std::string input;
  for (int i = 0; i < 5000; ++i) {
    input += "{\"gold\": \"" + std::to_string(i) + "\", \"answer\": \"" +
             std::to_string(i - i % 3) + "\"}\n";
  }
  const Ended ended = verify({"math", "--jobs", "8"}, input);
  CHECK(ended.exit_code == 0);
  const auto lines = rows(ended.out);
  REQUIRE(lines.size() == 5000);
  for (size_t i = 0; i < lines.size(); ++i) {
    REQUIRE(lines[i]["verdict"] == (i % 3 == 0 ? "equal" : "different"));
  }
}

TEST_CASE("verify: a bad line is told in its place, and the others are judged") {
  const Ended ended = verify({"math"},
                             "{\"gold\": \"5\", \"answer\": \"5\"}\n"
                             "not json\n"
                             "{\"answer\": \"5\"}\n"
                             "{\"gold\": \"5\"}\n"
                             "{\"gold\": \"5\", \"answer\": \"5\", \"response\": \"5\"}\n"
                             "{\"gold\": {}, \"answer\": \"5\"}\n"
                             "{\"gold\": \"5\", \"answer\": \"5\"}\n");
  CHECK(ended.exit_code == 2);
  CHECK(ended.error.find("5 lines") != std::string::npos);
  const auto lines = rows(ended.out);
  REQUIRE(lines.size() == 7);
  CHECK(lines[0]["verdict"] == "equal");
  CHECK(lines[6]["verdict"] == "equal");
  for (size_t i = 1; i < 6; ++i) {
    CHECK(lines[i]["error"].get<std::string>().find("standard input:" + std::to_string(i + 1)) !=
          std::string::npos);
  }
}

TEST_CASE("verify math: the last number is an answer only where that is asked for") {
  const std::string line = "{\"gold\": \"42\", \"response\": \"so it is 42.\"}\n";
  CHECK(rows(verify({"math"}, line).out).at(0)["verdict"] == "no_answer");
  const Ended ended = verify({"math", "--extraction", "last_number"}, line);
  CHECK(ended.exit_code == 0);
  CHECK(rows(ended.out).at(0)["verdict"] == "equal");
  CHECK(verify({"math", "--extraction", "last"}, line).exit_code == 2);
}

TEST_CASE("verify code: languages by their usual names, and packages by a flag") {
  if (!tests::test_sandbox()) return;
  const std::string line =
      "{\"code\": \"import sys\\nprint(any('-packages' in path for path in sys.path))\", "
      "\"language\": \"Python 3\", \"inputs\": [\"1\"], \"outputs\": [\"True\"]}\n";
  CHECK(rows(verify({"code"}, line).out).at(0)["verdict"] == "wrong_answer");
  CHECK(rows(verify({"code", "--python-packages"}, line).out).at(0)["verdict"] == "passed");
}

TEST_CASE("verify code: a program in a fence is what is inside") {
  if (!tests::test_sandbox()) return;
  const auto verdict_of = [](const char* code) {
    const json line{{"code", code}, {"inputs", {"1"}}, {"outputs", {"2"}}};
    return rows(verify({"code"}, line.dump() + "\n").out).at(0)["verdict"];
  };
  CHECK(verdict_of("```python\nprint(3)\n```") == "wrong_answer");
  CHECK(verdict_of("```python\nprint(2)") == "no_answer");
  CHECK(verdict_of("x = 1\n```python\nprint(2)\n```") == "compile_error");
  CHECK(verdict_of("\n```python\nprint(2)\n```\n") == "passed");
}

TEST_CASE("verify code: one line for each, with all fields") {
  if (!tests::test_sandbox()) return;
  const Ended ended = verify(
      {"code", "--jobs", "2"},
      "{\"code\": \"print(int(input()) + 1)\", \"inputs\": [\"1\", \"2\"], \"outputs\": [\"2\", "
      "\"3\"]}\n"
      "{\"code\": \"def f(x): return x\", \"fn_name\": \"f\", \"inputs\": [[1], [2]], "
      "\"outputs\": [1, 3], \"language\": \"python\", \"format\": \"function\", \"seconds\": 2, "
      "\"memory_mb\": 100}\n"
      "{\"response\": \"no code\", \"inputs\": [\"1\"], \"outputs\": [\"2\"]}\n"
      "{\"code\": \"x = 1\", \"test_list\": [\"assert f(\"]}\n"
      "{\"code\": \"x\"}\n");
  CHECK(ended.exit_code == 2);
  const auto lines = rows(ended.out);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0]["verdict"] == "passed");
  CHECK(lines[0]["score"] == 1.0);
  CHECK(lines[0]["tests"] == json({{"passed", 2}, {"total", 2}}));
  CHECK(lines[1]["verdict"] == "wrong_answer");
  CHECK(lines[1]["score"] == 0.0);
  CHECK(lines[1]["tests"]["passed"] == 1);
  CHECK(lines[1]["milliseconds"].get<double>() > 0);
  CHECK(lines[2]["verdict"] == "no_answer");
  CHECK(lines[3]["verdict"] == "gold_unparseable");
  CHECK(lines[3]["score"].is_null());
  CHECK(lines[4]["error"].get<std::string>().find("inputs") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
