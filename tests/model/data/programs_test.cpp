#include "model/data/programs.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "model/data/dataset.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

using nlohmann::json;

// Python's value of an expression of x, numbers, + - * // % ** and brackets: an independent
// reading.
class Python {
 public:
  Python(std::string_view text, int64_t x) : text_(text), x_(x) {}
  int64_t value() {
    const int64_t value = sum();
    REQUIRE(at_ == text_.size());
    return value;
  }

 private:
  bool take(std::string_view symbol) {
    if (!text_.substr(at_).starts_with(symbol)) return false;
    at_ += symbol.size();
    return true;
  }
  int64_t sum() {
    int64_t left = product();
    while (true) {
      if (take("+")) {
        left += product();
      } else if (take("-")) {
        left -= product();
      } else {
        return left;
      }
    }
  }
  int64_t product() {
    int64_t left = power();
    while (true) {
      if (take("//")) {
        const int64_t right = power();
        left = (left - ((left % right) + right) % right) / right;
      } else if (take("%")) {
        const int64_t right = power();
        left = ((left % right) + right) % right;
      } else if (!text_.substr(at_).starts_with("**") && take("*")) {
        left *= power();
      } else {
        return left;
      }
    }
  }
  int64_t power() {
    const int64_t base = atom();
    if (!take("**")) return base;
    const int64_t exponent = power();
    int64_t result = 1;
    for (int64_t i = 0; i < exponent; ++i) result *= base;
    return result;
  }
  int64_t atom() {
    if (take("x")) return x_;
    if (take("(")) {
      const int64_t value = sum();
      REQUIRE(take(")"));
      return value;
    }
    const size_t begin = at_;
    int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      value = value * 10 + (text_[at_++] - '0');
    }
    REQUIRE(at_ > begin);
    return value;
  }

  std::string_view text_;
  int64_t x_;
  size_t at_ = 0;
};

// What the words say, step by step.
int64_t follow(const std::string& prompt, int64_t x) {
  std::istringstream steps(prompt);
  for (std::string step; std::getline(steps, step, ',');) {
    if (step.starts_with(' ')) step.erase(0, 1);
    const int64_t number = step.back() - '0';
    if (step.starts_with("add "))
      x += number;
    else if (step.starts_with("subtract "))
      x -= number;
    else if (step == "double")
      x *= 2;
    else if (step == "triple")
      x *= 3;
    else if (step == "square")
      x *= x;
    else if (step == "halve")
      x = (x - ((x % 2) + 2) % 2) / 2;
    else if (step == "last digit")
      x = ((x % 10) + 10) % 10;
    else
      FAIL("unknown step " << step);
  }
  return x;
}

// The kinds of the steps: the words without their numbers.
std::string composition(std::string prompt) {
  std::erase_if(prompt, [](char c) { return c >= '0' && c <= '9'; });
  return prompt;
}

std::vector<json> rows(const std::string& path) {
  std::vector<json> rows;
  std::istringstream lines(tests::contents(path));
  for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line));
  return rows;
}

std::string answer_of(const std::string& response) {
  constexpr std::string_view kBegin = "<answer>def f(x): return ", kEnd = "</answer>";
  const size_t begin = response.find(kBegin);
  REQUIRE(begin != response.npos);
  REQUIRE(response.ends_with(kEnd));
  return response.substr(begin + kBegin.size(),
                         response.size() - begin - kBegin.size() - kEnd.size());
}

ProgramsOptions small() {
  ProgramsOptions options;
  options.train = 500;
  options.cold_start_clean = 500;
  options.cold_start_noisy = 500;
  options.held_out = 100;
  return options;
}

TEST_CASE("programs: the tests say what the words say") {
  const tests::TempDir dir;
  REQUIRE(make_programs(small(), dir.path()));
  for (const char* file : {"train.jsonl", "held_out.jsonl"}) {
    for (const json& row : rows(dir.file(file))) {
      const std::string prompt = row["prompt"];
      CAPTURE(prompt);
      REQUIRE(row["inputs"].size() == 4);
      std::set<int64_t> inputs;
      for (size_t i = 0; i < row["inputs"].size(); ++i) {
        const int64_t x = row["inputs"][i][0];
        inputs.insert(x);
        CHECK(row["outputs"][i][0] == follow(prompt, x));
      }
      CHECK(inputs.size() == 4);
    }
  }
}

TEST_CASE("programs: careful demonstrations are right, careless ones are found out by the tests") {
  const tests::TempDir dir;
  ProgramsOptions options = small();
  options.share_careless = 1;
  REQUIRE(make_programs(options, dir.path()));
  for (const json& row : rows(dir.file("cold_start_clean.jsonl"))) {
    const std::string prompt = row["prompt"], expression = answer_of(row["response"]);
    CAPTURE(prompt);
    for (int64_t x = -20; x <= 20; ++x) {
      REQUIRE(Python(expression, x).value() == follow(prompt, x));
    }
  }
  int num_wrong = 0;
  for (const json& row : rows(dir.file("cold_start_noisy.jsonl"))) {
    const std::string prompt = row["prompt"], expression = answer_of(row["response"]);
    CHECK(expression.find('(') == expression.npos);
    for (int64_t x = -20; x <= 20; ++x) {
      if (Python(expression, x).value() != follow(prompt, x)) {
        ++num_wrong;
        break;
      }
    }
  }
  CHECK(num_wrong > 150);
  // A problem whose careless form is another function has a test that tells.
  for (const json& row : rows(dir.file("train.jsonl"))) {
    const std::string prompt = row["prompt"];
    std::string careless = "x";
    std::istringstream steps(prompt);
    for (std::string step; std::getline(steps, step, ',');) {
      if (step.starts_with(' ')) step.erase(0, 1);
      careless += step.starts_with("add ")  ? "+" + step.substr(4)
                  : step.starts_with("sub") ? "-" + step.substr(9)
                  : step == "double"        ? "*2"
                  : step == "triple"        ? "*3"
                  : step == "square"        ? "**2"
                  : step == "halve"         ? "//2"
                                            : "%10";
    }
    bool differs = false, is_told = false;
    for (int64_t x = -20; x <= 20; ++x) {
      differs = differs || Python(careless, x).value() != follow(prompt, x);
    }
    for (const json& input : row["inputs"]) {
      const int64_t x = input[0];
      is_told = is_told || Python(careless, x).value() != follow(prompt, x);
    }
    CAPTURE(prompt);
    CHECK(differs == is_told);
  }
}

TEST_CASE("programs: compositions held out occur nowhere else") {
  const tests::TempDir dir;
  REQUIRE(make_programs(small(), dir.path()));
  std::set<std::string> held_out, prompts;
  for (const json& row : rows(dir.file("held_out.jsonl"))) {
    held_out.insert(composition(row["prompt"]));
    prompts.insert(row["prompt"].get<std::string>());
  }
  CHECK(held_out.size() > 10);
  CHECK(prompts.size() == 100);
  for (const char* file : {"train.jsonl", "cold_start_clean.jsonl", "cold_start_noisy.jsonl"}) {
    for (const json& row : rows(dir.file(file))) {
      CHECK_FALSE(held_out.contains(composition(row["prompt"])));
    }
  }
}

TEST_CASE("programs: the files are a function of the options, and load as what they are") {
  const tests::TempDir a, b, c;
  REQUIRE(make_programs(small(), a.path()));
  REQUIRE(make_programs(small(), b.path()));
  ProgramsOptions other = small();
  other.seed = 2;
  REQUIRE(make_programs(other, c.path()));
  for (const char* file :
       {"train.jsonl", "held_out.jsonl", "cold_start_clean.jsonl", "cold_start_noisy.jsonl"}) {
    CHECK(tests::contents(a.file(file)) == tests::contents(b.file(file)));
    CHECK(tests::contents(a.file(file)) != tests::contents(c.file(file)));
  }
  const auto problems = load_problems(a.file("train.jsonl"));
  REQUIRE(problems);
  // The row itself is the gold.
  CHECK(problems->problems.front().gold ==
        tests::contents(a.file("train.jsonl"))
            .substr(0, tests::contents(a.file("train.jsonl")).find('\n')));
  CHECK(load_demonstrations(a.file("cold_start_noisy.jsonl")));
}

TEST_CASE("programs: options out of range are refused before anything is written") {
  const tests::TempDir dir;
  const auto refused = [&](auto change, std::string_view name) {
    ProgramsOptions options = small();
    change(options);
    const Status status = make_programs(options, dir.file("made"));
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInvalidArgument);
    CHECK(status.error().message.find(name) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(dir.file("made")));
  };
  refused([](auto& o) { o.steps_min = 0; }, "steps");
  refused([](auto& o) { o.steps_max = 5; }, "steps");
  refused([](auto& o) { o.steps_min = 3, o.steps_max = 2; }, "steps");
  refused([](auto& o) { o.tests = 0; }, "tests");
  refused([](auto& o) { o.train = 0; }, "train");
  refused([](auto& o) { o.held_out = 1'000'000; }, "held_out");
  refused([](auto& o) { o.share_careless = 1.5; }, "share_careless");
}

}  // namespace
}  // namespace troupe::model
