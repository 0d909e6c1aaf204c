#include "model/data/arithmetic.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "model/data/dataset.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

std::string bytes_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<Problem> problems_of(const std::string& path) {
  auto problems = load_problems(path);
  REQUIRE(problems);
  return problems->problems;
}

std::vector<Demonstration> demonstrations_of(const std::string& path) {
  auto demonstrations = load_demonstrations(path);
  REQUIRE(demonstrations);
  return *demonstrations;
}

// An independent reading of "7*4+3", left to right; also checks the alphabet.
int evaluate(std::string_view text, bool modulo) {
  size_t at = 0;
  const auto number = [&] {
    int value = 0;
    const size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      value = value * 10 + (text[at++] - '0');
    }
    REQUIRE(at > begin);
    return value;
  };
  int value = number();
  while (at < text.size()) {
    const char op = text[at++];
    REQUIRE((op == '+' || op == '-' || op == '*'));
    const int operand = number();
    value = op == '+' ? value + operand : op == '-' ? value - operand : value * operand;
    if (modulo) value = (value % 10 + 10) % 10;
    if (!modulo) REQUIRE((value >= 0 && value <= 99));
  }
  return value;
}

struct Trace {
  std::vector<std::string> segments{};
  std::string answer{};
};

Trace trace_of(const Demonstration& demonstration) {
  std::string_view text = demonstration.response;
  const std::string_view open = "<think>", middle = "</think><answer>", close = "</answer>";
  REQUIRE(text.starts_with(open));
  REQUIRE(text.ends_with(close));
  text = text.substr(open.size(), text.size() - open.size() - close.size());
  const size_t split = text.find(middle);
  REQUIRE(split != text.npos);
  Trace trace{{}, std::string(text.substr(split + middle.size()))};
  std::istringstream thoughts{std::string(text.substr(0, split))};
  for (std::string segment; std::getline(thoughts, segment, '=');)
    trace.segments.push_back(segment);
  return trace;
}

std::string expression_of(const Prompt& prompt) {
  const std::string& text = prompt.at(0).content;
  REQUIRE(text.ends_with("=?"));
  return text.substr(0, text.size() - 2);
}

size_t num_operands(std::string_view expression) {
  size_t count = 1;
  for (char c : expression) count += c == '+' || c == '-' || c == '*';
  return count;
}

TEST_CASE("arithmetic: problems are right, lengths are even, nothing held out is learned") {
  for (const std::string task : {"mod10", "natural"}) {
    const tests::TempDir dir;
    REQUIRE(make_arithmetic({.task = task,
                             .train = 3000,
                             .cold_start_clean = 1000,
                             .cold_start_noisy = 1000,
                             .held_out = 500},
                            dir.path()));
    const bool modulo = task == "mod10";
    std::set<std::string> held_out;
    std::map<size_t, int> lengths;
    for (const Problem& problem : problems_of(dir.file("held_out.jsonl"))) {
      const std::string expression = expression_of(problem.prompt);
      CHECK(problem.gold == std::to_string(evaluate(expression, modulo)));
      CHECK(held_out.insert(problem.prompt[0].content).second);
    }
    CHECK(held_out.size() == 500);
    for (const Problem& problem : problems_of(dir.file("train.jsonl"))) {
      const std::string expression = expression_of(problem.prompt);
      CHECK(problem.gold == std::to_string(evaluate(expression, modulo)));
      CHECK(!held_out.contains(problem.prompt[0].content));
      ++lengths[num_operands(expression)];
    }
    CHECK(lengths.size() == 3);
    for (size_t length : {3, 4, 5}) CHECK(lengths[length] == doctest::Approx(1000).epsilon(0.1));
    for (const char* name : {"cold_start_clean.jsonl", "cold_start_noisy.jsonl"}) {
      for (const Demonstration& demonstration : demonstrations_of(dir.file(name))) {
        CHECK(!held_out.contains(demonstration.prompt[0].content));
      }
    }
  }
}

TEST_CASE("arithmetic: with a tail each further operand is rarer by its share") {
  const tests::TempDir dir;
  REQUIRE(make_arithmetic({.operands_min = 3,
                           .operands_max = 16,
                           .tail = 0.75,
                           .train = 8000,
                           .cold_start_clean = 1,
                           .cold_start_noisy = 1,
                           .held_out = 500},
                          dir.path()));
  std::map<size_t, double> lengths;
  for (const Problem& problem : problems_of(dir.file("train.jsonl"))) {
    ++lengths[num_operands(expression_of(problem.prompt))];
  }
  CHECK(lengths.size() == 14);
  // (1 - 0.75) / (1 - 0.75^14) of all.
  CHECK(lengths[3] / 8000 == doctest::Approx(0.2545).epsilon(0.06));
  CHECK(lengths[4] / lengths[3] == doctest::Approx(0.75).epsilon(0.1));
  CHECK(lengths[5] / lengths[4] == doctest::Approx(0.75).epsilon(0.1));
  CHECK(lengths[16] < lengths[10]);
}

TEST_CASE("arithmetic: a clean demonstration carries out one operation per segment") {
  const tests::TempDir dir;
  REQUIRE(make_arithmetic(
      {.train = 1, .cold_start_clean = 500, .cold_start_noisy = 1, .held_out = 1}, dir.path()));
  for (const Demonstration& demonstration : demonstrations_of(dir.file("cold_start_clean.jsonl"))) {
    const std::string expression = expression_of(demonstration.prompt);
    const Trace trace = trace_of(demonstration);
    CHECK(trace.segments.size() == num_operands(expression) - 1);
    size_t operands = num_operands(expression);
    for (const std::string& segment : trace.segments) {
      CHECK(num_operands(segment) == --operands);
      CHECK(evaluate(segment, true) == evaluate(expression, true));
    }
    CHECK(trace.answer == trace.segments.back());
    CHECK(trace.answer == std::to_string(evaluate(expression, true)));
  }
}

TEST_CASE("arithmetic: noisy demonstrations are half guesses, and 30 % of the rest go wrong once") {
  for (const std::string task : {"mod10", "natural"}) {
    const bool modulo = task == "mod10";
    const tests::TempDir dir;
    REQUIRE(make_arithmetic(
        {.task = task, .train = 1, .cold_start_clean = 1, .cold_start_noisy = 4000, .held_out = 1},
        dir.path()));
    int guesses = 0, wrong = 0;
    for (const Demonstration& demonstration :
         demonstrations_of(dir.file("cold_start_noisy.jsonl"))) {
      const std::string expression = expression_of(demonstration.prompt);
      const Trace trace = trace_of(demonstration);
      if (trace.segments.empty()) {
        ++guesses;
        CHECK(trace.answer == std::to_string(evaluate(expression, modulo)));
        continue;
      }
      // A step is wrong when it changes what the expression evaluates to (before modulo effects,
      // e.g. a later * 5, hide it), so compare the operation that the step carries out.
      int errors = 0;
      std::string before = expression;
      for (const std::string& segment : trace.segments) {
        size_t end = before.find_first_of("+-*");
        end = std::min(before.find_first_of("+-*", end + 1), before.size());
        const int expected = evaluate(before.substr(0, end), modulo);
        errors += segment != std::to_string(expected) + before.substr(end);
        before = segment;
      }
      CHECK(errors <= 1);
      wrong += errors;
      CHECK(trace.answer == trace.segments.back());
    }
    CHECK(guesses == doctest::Approx(2000).epsilon(0.06));
    CHECK(wrong == doctest::Approx(0.3 * (4000 - guesses)).epsilon(0.15));
  }
}

TEST_CASE("arithmetic: the same options give the same bytes, another seed gives others") {
  const tests::TempDir a, b, c;
  const ArithmeticOptions options = {
      .train = 200, .cold_start_clean = 100, .cold_start_noisy = 100, .held_out = 50};
  ArithmeticOptions reseeded = options;
  reseeded.seed = 2;
  REQUIRE(make_arithmetic(options, a.path()));
  REQUIRE(make_arithmetic(options, b.path() + "/new/folder"));
  REQUIRE(make_arithmetic(reseeded, c.path()));
  for (const char* name :
       {"train.jsonl", "cold_start_clean.jsonl", "cold_start_noisy.jsonl", "held_out.jsonl"}) {
    CHECK(bytes_of(a.file(name)) == bytes_of(b.file("new/folder/" + std::string(name))));
    CHECK(bytes_of(a.file(name)) != bytes_of(c.file(name)));
  }
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(a.path())) {
    ++entries;
  }
  CHECK(entries == 4);  // No temporary file is left.
  CHECK(bytes_of(a.file("held_out.jsonl"))
            .starts_with("{\"prompt\": \"5*6-3=?\", \"gold\": \"7\"}\n{\"prompt\": \"7+6+4+8=?\", "
                         "\"gold\": \"5\"}\n"));
}

TEST_CASE("arithmetic: what cannot be made is refused and nothing is written") {
  const tests::TempDir dir;
  const auto refusal = [&](const ArithmeticOptions& options) {
    auto status = make_arithmetic(options, dir.file("out"));
    REQUIRE(!status);
    CHECK(status.error().code == ErrorCode::kInvalidArgument);
    CHECK(!std::filesystem::exists(dir.file("out")));
    return status.error().message;
  };
  CHECK(refusal({.task = "mod"}) == "unknown task 'mod'; known: mod10, natural");
  CHECK(refusal({.operands_min = 1}) == "operands 1..5: choose a range within 2..16");
  CHECK(refusal({.operands_max = 17}) == "operands 3..17: choose a range within 2..16");
  CHECK(refusal({.operands_min = 5, .operands_max = 4}) ==
        "operands 5..4: choose a range within 2..16");
  CHECK(refusal({.tail = 0}) == "tail 0: choose a number above 0, up to 1");
  CHECK(refusal({.train = 0}) == "train 0 rows: choose a number in 1..10000000");
  CHECK(refusal({.held_out = -1}) == "held_out -1 rows: choose a number in 1..10000000");
  CHECK(refusal({.share_guess = 1.5}) == "share_guess 1.5: choose a number in 0..1");
  CHECK(refusal({.operands_max = 3, .held_out = 3281}) ==
        "held_out 3281 problems: only 6561 exist with 3 operands, and at most half of each length "
        "may be held out; choose at most 3280 or more operands");
  CHECK(!make_arithmetic({}, "/proc/nowhere"));
}

TEST_CASE("arithmetic: half of all problems can be held out, in the largest range too") {
  const tests::TempDir dir;
  REQUIRE(make_arithmetic({.operands_min = 2,
                           .operands_max = 2,
                           .train = 500,
                           .cold_start_clean = 1,
                           .cold_start_noisy = 1,
                           .held_out = 121},
                          dir.path()));
  REQUIRE(make_arithmetic({.task = "natural",
                           .operands_min = 16,
                           .operands_max = 16,
                           .train = 100,
                           .cold_start_clean = 1,
                           .cold_start_noisy = 500,
                           .held_out = 100,
                           .share_guess = 0,
                           .share_wrong = 1},
                          dir.path()));
}

}  // namespace
}  // namespace troupe::model
