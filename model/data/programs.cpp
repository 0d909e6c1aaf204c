#include "model/data/programs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/random.h"
#include "model/data/data_folder.h"

namespace troupe::model {
namespace {

constexpr int64_t kStepsMax = 4;
constexpr int64_t kTestsMax = 20;
constexpr int64_t kRowsMax = 10'000'000;
constexpr int64_t kHeldOutMax = 2'000;
constexpr int kInputMax = 20;  // Inputs are -20..20.

enum class Kind : uint8_t { kAdd, kSubtract, kDouble, kTriple, kSquare, kHalve, kLastDigit };
constexpr size_t kNumKinds = 7;

struct Step {
  Kind kind = Kind::kAdd;
  int number = 0;  // kAdd, kSubtract
};
using Steps = std::vector<Step>;
using Composition = std::vector<Kind>;

// An operator and its right-hand number, as Python writes them.
struct Operation {
  std::string_view symbol{};
  int precedence = 0;  // + - 1, * // % 2, ** 3
  int number = 0;
};

Operation operation(const Step& step) {
  switch (step.kind) {
    case Kind::kAdd:
      return {"+", 1, step.number};
    case Kind::kSubtract:
      return {"-", 1, step.number};
    case Kind::kDouble:
      return {"*", 2, 2};
    case Kind::kTriple:
      return {"*", 2, 3};
    case Kind::kSquare:
      return {"**", 3, 2};
    case Kind::kHalve:
      return {"//", 2, 2};
    case Kind::kLastDigit:
      return {"%", 2, 10};
  }
  return {};
}

std::string words(const Step& step) {
  switch (step.kind) {
    case Kind::kAdd:
      return fmt::format("add {}", step.number);
    case Kind::kSubtract:
      return fmt::format("subtract {}", step.number);
    case Kind::kDouble:
      return "double";
    case Kind::kTriple:
      return "triple";
    case Kind::kSquare:
      return "square";
    case Kind::kHalve:
      return "halve";
    case Kind::kLastDigit:
      return "last digit";
  }
  return {};
}

std::string prompt(const Steps& steps) {
  std::string text;
  for (const Step& step : steps) text += (text.empty() ? "" : ", ") + words(step);
  return text;
}

// The expression after each step. Brackets stand where Python needs them, or never.
std::vector<std::string> expressions(const Steps& steps, bool is_careless) {
  std::vector<std::string> result;
  std::string text = "x";
  int precedence = 4;  // Of a name.
  for (const Step& step : steps) {
    const Operation next = operation(step);
    // a ** b ** c is a ** (b ** c): a power needs brackets around a power.
    const bool needs_brackets =
        next.precedence > precedence || (next.precedence == 3 && precedence == 3);
    if (needs_brackets && !is_careless) text = "(" + text + ")";
    text += fmt::format("{}{}", next.symbol, next.number);
    precedence = next.precedence;
    result.push_back(text);
  }
  return result;
}

int64_t floor_divided(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

int64_t apply(int64_t left, const Operation& operation, int64_t right) {
  if (operation.symbol == "+") return left + right;
  if (operation.symbol == "-") return left - right;
  if (operation.symbol == "*") return left * right;
  if (operation.symbol == "//") return floor_divided(left, right);
  if (operation.symbol == "%") return left - floor_divided(left, right) * right;
  return left * left;  // ** 2; there is one at most.
}

int64_t value(const Steps& steps, int64_t x) {
  for (const Step& step : steps) x = apply(x, operation(step), operation(step).number);
  return x;
}

// What Python makes of the expression without brackets: first the powers, then the products, then
// the sums, each from left to right.
int64_t careless_value(const Steps& steps, int64_t x) {
  std::vector<int64_t> operands = {x};
  std::vector<Operation> operations;
  for (const Step& step : steps) {
    const Operation next = operation(step);
    if (next.precedence == 3) {
      operands.back() *= operands.back();
      continue;
    }
    operations.push_back(next);
    operands.push_back(next.number);
  }
  for (int precedence : {2, 1}) {
    for (size_t i = 0; i < operations.size();) {
      if (operations[i].precedence != precedence) {
        ++i;
        continue;
      }
      operands[i] = apply(operands[i], operations[i], operands[i + 1]);
      operands.erase(operands.begin() + static_cast<ptrdiff_t>(i) + 1);
      operations.erase(operations.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  return operands[0];
}

bool is_allowed(const Composition& composition) {
  // Two squares would soon leave 64 bits; the same step twice in a row teaches nothing.
  return std::count(composition.begin(), composition.end(), Kind::kSquare) <= 1 &&
         std::adjacent_find(composition.begin(), composition.end()) == composition.end();
}

// In the order of their kinds.
std::vector<Composition> compositions(int64_t num_steps) {
  std::vector<Composition> all;
  std::vector<size_t> digits(static_cast<size_t>(num_steps), 0);
  while (true) {
    Composition composition;
    for (size_t digit : digits) composition.push_back(static_cast<Kind>(digit));
    if (is_allowed(composition)) all.push_back(composition);
    size_t i = 0;
    while (i < digits.size() && ++digits[i] == kNumKinds) digits[i++] = 0;
    if (i == digits.size()) return all;
  }
}

Status check(const ProgramsOptions& options) {
  if (options.steps_min < 1 || options.steps_max > kStepsMax ||
      options.steps_min > options.steps_max) {
    return invalid_argument(fmt::format("steps {}..{}: choose a range within 1..{}",
                                        options.steps_min, options.steps_max, kStepsMax));
  }
  if (options.tests < 1 || options.tests > kTestsMax) {
    return invalid_argument(
        fmt::format("tests {}: choose a number in 1..{}", options.tests, kTestsMax));
  }
  for (const auto& [name, count, most] :
       {std::tuple("train", options.train, kRowsMax),
        {"cold_start_clean", options.cold_start_clean, kRowsMax},
        {"cold_start_noisy", options.cold_start_noisy, kRowsMax},
        {"held_out", options.held_out, options.steps_max == 1 ? 1 : kHeldOutMax}}) {
    if (count < 1 || count > most) {
      return invalid_argument(
          fmt::format("{} {} rows: choose a number in 1..{}", name, count, most));
    }
  }
  if (!(options.share_careless >= 0 && options.share_careless <= 1)) {  // Also refuses NaN.
    return invalid_argument(
        fmt::format("share_careless {}: choose a number in 0..1", options.share_careless));
  }
  return ok();
}

class Maker {
 public:
  explicit Maker(const ProgramsOptions& options) : options_(options) {
    // One in eight of each length is held out, at least one.
    for (int64_t length = options.steps_min; length <= options.steps_max; ++length) {
      std::vector<Composition> all = compositions(length);
      auto random = stream(9, length);
      for (size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[random.below(i + 1)]);
      const size_t num_held_out = std::max<size_t>(1, all.size() / 8);
      held_out_.push_back({all.begin(), all.begin() + static_cast<ptrdiff_t>(num_held_out)});
      learned_.push_back({all.begin() + static_cast<ptrdiff_t>(num_held_out), all.end()});
    }
  }

  // Different problems, where there are enough of them.
  std::string held_out() const {
    std::string rows;
    std::set<std::string> seen;
    for (int64_t i = 0; i < options_.held_out; ++i) {
      auto random = stream(0, i);
      Steps steps = draw(held_out_, random);
      for (int tries = 0; tries < 1000 && !seen.insert(prompt(steps)).second; ++tries) {
        steps = draw(held_out_, random);
      }
      rows += problem_row(steps, random);
    }
    return rows;
  }

  std::string train() const {
    std::string rows;
    for (int64_t i = 0; i < options_.train; ++i) {
      auto random = stream(1, i);
      const Steps steps = draw(learned_, random);
      rows += problem_row(steps, random);
    }
    return rows;
  }

  std::string demonstrations(uint32_t file, int64_t count, double share_careless) const {
    std::string rows;
    for (int64_t i = 0; i < count; ++i) {
      auto random = stream(file, i);
      const Steps steps = draw(learned_, random);
      const auto lines = expressions(steps, random.uniform() < share_careless);
      rows += fmt::format(
          "{{\"prompt\": \"{}\", \"response\": \"<think>{}</think><answer>def f(x): return "
          "{}</answer>\"}}\n",
          prompt(steps), fmt::join(lines, ";"), lines.back());
    }
    return rows;
  }

 private:
  // A row is a function of its file and place: a longer file begins with the shorter one's rows.
  kernels::RandomStream stream(uint32_t file, int64_t row) const {
    constexpr uint32_t kFirstFile = 16;  // Others' files have the numbers below.
    return {options_.seed, kernels::StreamId::kMakeData, static_cast<uint64_t>(row),
            kFirstFile + file};
  }

  static Steps draw(const std::vector<std::vector<Composition>>& by_length,
                    kernels::RandomStream& random) {
    const auto& all = by_length[random.below(by_length.size())];
    const Composition& composition = all[random.below(all.size())];
    Steps steps;
    for (Kind kind : composition) {
      const bool has_number = kind == Kind::kAdd || kind == Kind::kSubtract;
      steps.push_back({kind, has_number ? 1 + static_cast<int>(random.below(9)) : 0});
    }
    return steps;
  }

  // Digits, letters and signs only: nothing needs escaping in JSON.
  std::string problem_row(const Steps& steps, kernels::RandomStream& random) const {
    std::vector<int64_t> inputs;
    while (static_cast<int64_t>(inputs.size()) < options_.tests) {
      const int64_t x = static_cast<int64_t>(random.below(2 * kInputMax + 1)) - kInputMax;
      if (std::find(inputs.begin(), inputs.end(), x) == inputs.end()) inputs.push_back(x);
    }
    const auto tells = [&](int64_t x) { return value(steps, x) != careless_value(steps, x); };
    if (std::none_of(inputs.begin(), inputs.end(), tells)) {
      for (int64_t x = kInputMax; x >= -kInputMax; --x) {
        const bool is_new = std::find(inputs.begin(), inputs.end(), x) == inputs.end();
        if (is_new && tells(x)) inputs[0] = x;
      }
    }
    std::string in, out;
    for (int64_t x : inputs) {
      in += fmt::format("{}[{}]", in.empty() ? "" : ", ", x);
      out += fmt::format("{}[{}]", out.empty() ? "" : ", ", value(steps, x));
    }
    return fmt::format(
        "{{\"prompt\": \"{}\", \"fn_name\": \"f\", \"inputs\": [{}], \"outputs\": [{}]}}\n",
        prompt(steps), in, out);
  }

  const ProgramsOptions& options_;
  std::vector<std::vector<Composition>> held_out_{};  // By length.
  std::vector<std::vector<Composition>> learned_{};
};

}  // namespace

Status make_programs(const ProgramsOptions& options, const std::string& dir,
                     ExistingFiles existing) {
  if (Status status = check(options); !status) return status;
  const Maker maker(options);
  return write_files(
      dir,
      {{"held_out.jsonl", maker.held_out()},
       {"train.jsonl", maker.train()},
       {"cold_start_clean.jsonl", maker.demonstrations(2, options.cold_start_clean, 0)},
       {"cold_start_noisy.jsonl",
        maker.demonstrations(3, options.cold_start_noisy, options.share_careless)}},
      existing);
}

}  // namespace troupe::model
