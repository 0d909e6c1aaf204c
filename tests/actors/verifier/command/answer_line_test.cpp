#include "actors/verifier/command/answer_line.h"

#include <doctest/doctest.h>

#include <string>

namespace troupe::actors {
namespace {

std::string refusal(std::string_view line) {
  const auto part = read_answer_line(line, 7);
  CAPTURE(line);
  REQUIRE_FALSE(part);
  CHECK(part.error().message.find('\n') == std::string::npos);
  return part.error().message;
}

TEST_CASE("answer line: the question is one line, whatever the policy wrote") {
  const std::string line = question_line(
      7, {.prompt = "1+1?", .text = "a\nb\"\xff\x01", .gold = std::string_view("2\0", 2)});
  CHECK(line ==
        "{\"id\":7,\"prompt\":\"1+1?\",\"response\":\"a\\nb\\\"\xEF\xBF\xBD\\u0001\","
        "\"gold\":\"2\\u0000\"}\n");
}

TEST_CASE("answer line: a score in [0, 1] is a verdict") {
  const auto part = read_answer_line(R"({"id":7,"score":0.25,"reason":"two of\u0007 eight"})", 7);
  REQUIRE(part);
  CHECK(part->kind == VerdictKind::kScored);
  CHECK(part->value == 0.25f);
  CHECK(part->reason == "two of? eight");
  CHECK(read_answer_line(R"({"score":1,"id":7})", 7)->value == 1);
  CHECK(read_answer_line(R"( {"id":7,"score":0.0,"more":[1,{"x":null}]} )", 7)->value == 0);
}

TEST_CASE("answer line: anything else is refused and never a zero") {
  for (const char* line : {"",
                           "0.5",
                           "null",
                           "[]",
                           "{",
                           "{}",
                           "{\"id\":7}",
                           "{\"score\":1}",
                           "{\"id\":8,\"score\":1}",
                           "{\"id\":\"7\",\"score\":1}",
                           "{\"id\":7.0,\"score\":1}",
                           "{\"id\":7,\"score\":\"1\"}",
                           "{\"id\":7,\"score\":null}",
                           "{\"id\":7,\"score\":true}",
                           "{\"id\":7,\"score\":-0.1}",
                           "{\"id\":7,\"score\":1.0001}",
                           "{\"id\":7,\"score\":1e999}",
                           "{\"id\":7,\"score\":NaN}",
                           "{\"id\":7,\"score\":1}{\"id\":7,\"score\":1}",
                           "\xff"}) {
    refusal(line);
  }
}

TEST_CASE("answer line: size and depth are bounded before anything is parsed") {
  CHECK(refusal(std::string(1 << 20, '[')).find("too long") != std::string::npos);
  CHECK(refusal("{\"id\":7,\"score\":" + std::string(30000, '[')).find("deeply") !=
        std::string::npos);
  CHECK(read_answer_line("{\"id\":7,\"score\":1,\"reason\":\"" + std::string(100, '[') + "\"}", 7));
  const auto part =
      read_answer_line("{\"id\":7,\"score\":1,\"reason\":\"" + std::string(5000, 'x') + "\"}", 7);
  CHECK(part->reason.size() < 600);
}

}  // namespace
}  // namespace troupe::actors
