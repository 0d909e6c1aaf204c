#include "model/data/arithmetic.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kernels/random.h"
#include "model/data/data_folder.h"
#include "schemas/check.h"
#include "schemas/nearest.h"

namespace troupe::model {
namespace {

// Ten digits sum to at most 90: one wrong step of up to 9 still stays below 100 (see damaged).
constexpr int64_t kOperandsMax = 16;
// From so many operands on, no more problems are counted than there are of so many.
constexpr int64_t kCountedOperandsMax = 10;
constexpr int64_t kRowsMax = 10'000'000;

enum class Task { kMod10, kNatural };

struct Expression {
  std::vector<int> operands{};
  std::string operators{};  // operators[i] stands between operands i and i + 1.
};

// One step from left to right. In kNatural the result may lie outside of 0..99.
int apply(Task task, int left, char op, int right) {
  const int result = op == '+' ? left + right : op == '-' ? left - right : left * right;
  return task == Task::kMod10 ? (result % 10 + 10) % 10 : result;
}

bool is_allowed(Task task, int result) {
  return task == Task::kMod10 || (result >= 0 && result <= 99);
}

// The text from operand `first` on, with that operand replaced by `value`.
std::string rest(const Expression& expression, size_t first, int value) {
  std::string text = std::to_string(value);
  for (size_t i = first + 1; i < expression.operands.size(); ++i) {
    text += expression.operators[i - 1];
    text += std::to_string(expression.operands[i]);
  }
  return text;
}

std::string prompt(const Expression& expression) {
  return rest(expression, 0, expression.operands[0]) + "=?";
}

// The partial results, one per operator; the last one is the answer. Step `wrong_step` is off by
// `error`, and the later ones build on it.
std::vector<int> steps(Task task, const Expression& expression, size_t wrong_step = SIZE_MAX,
                       int error = 0) {
  std::vector<int> results;
  int value = expression.operands[0];
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    value = apply(task, value, expression.operators[i], expression.operands[i + 1]);
    if (i == wrong_step) value = task == Task::kMod10 ? (value + error) % 10 : value + error;
    results.push_back(value);
  }
  return results;
}

// A wrong result at a random step. An error of 1..9 upwards always leaves allowed results, so the
// search ends.
std::vector<int> damaged(Task task, const Expression& expression, kernels::RandomStream& random) {
  const size_t wrong_step = random.below(expression.operators.size());
  while (true) {
    int error = 1 + static_cast<int>(random.below(9));
    if (task == Task::kNatural && random.below(2) == 0) error = -error;
    std::vector<int> results = steps(task, expression, wrong_step, error);
    bool allowed = true;
    for (int result : results) allowed = allowed && is_allowed(task, result);
    if (allowed) return results;
  }
}

std::string response(std::string_view thoughts, int answer) {
  return fmt::format("<think>{}</think><answer>{}</answer>", thoughts, answer);
}

std::string worked_response(const Expression& expression, const std::vector<int>& results) {
  std::string thoughts;
  for (size_t i = 0; i < results.size(); ++i) {
    thoughts += (i ? "=" : "") + rest(expression, i + 1, results[i]);
  }
  return response(thoughts, results.back());
}

Expression draw(Task task, int64_t num_operands, kernels::RandomStream& random) {
  const std::string_view operators = task == Task::kMod10 ? "+-*" : "+-";
  const auto digit = [&] { return 1 + static_cast<int>(random.below(9)); };
  Expression expression;
  int value = digit();
  expression.operands.push_back(value);
  while (static_cast<int64_t>(expression.operands.size()) < num_operands) {
    const char op = operators[random.below(operators.size())];
    const int operand = digit();
    const int result = apply(task, value, op, operand);
    if (!is_allowed(task, result)) continue;
    expression.operators += op;
    expression.operands.push_back(operand);
    value = result;
  }
  return expression;
}

// How many problems of that many operands exist: for each partial result, the ways to reach it.
int64_t count_problems(Task task, int64_t num_operands) {
  std::array<int64_t, 100> ways{};
  for (int value = 1; value <= 9; ++value) ways[value] = 1;
  for (int64_t i = 1; i < std::min(num_operands, kCountedOperandsMax); ++i) {
    std::array<int64_t, 100> next{};
    for (int value = 0; value < 100; ++value) {
      for (char op : std::string_view(task == Task::kMod10 ? "+-*" : "+-")) {
        for (int operand = 1; operand <= 9 && ways[value] > 0; ++operand) {
          const int result = apply(task, value, op, operand);
          if (is_allowed(task, result)) next[result] += ways[value];
        }
      }
    }
    ways = next;
  }
  int64_t count = 0;
  for (int64_t each : ways) count += each;
  return count;
}

Result<Task> checked(const ArithmeticOptions& options) {
  if (options.task != "mod10" && options.task != "natural") {
    return invalid_argument(fmt::format("unknown task '{}'; known: {}", options.task,
                                        nearest_first_list(options.task, {"mod10", "natural"})));
  }
  const Task task = options.task == "mod10" ? Task::kMod10 : Task::kNatural;
  if (options.operands_min < 2 || options.operands_max > kOperandsMax ||
      options.operands_min > options.operands_max) {
    return invalid_argument(fmt::format("operands {}..{}: choose a range within 2..{}",
                                        options.operands_min, options.operands_max, kOperandsMax));
  }
  if (!(options.tail > 0 && options.tail <= 1)) {
    return invalid_argument(fmt::format("tail {}: choose a number above 0, up to 1", options.tail));
  }
  for (const auto& [name, count] : {std::pair("train", options.train),
                                    {"cold_start_clean", options.cold_start_clean},
                                    {"cold_start_noisy", options.cold_start_noisy},
                                    {"held_out", options.held_out}}) {
    if (count < 1 || count > kRowsMax) {
      return invalid_argument(
          fmt::format("{} {} rows: choose a number in 1..{}", name, count, kRowsMax));
    }
  }
  for (const auto& [name, share] :
       {std::pair("share_guess", options.share_guess), {"share_wrong", options.share_wrong}}) {
    if (!(share >= 0 && share <= 1)) {  // Also refuses NaN.
      return invalid_argument(fmt::format("{} {}: choose a number in 0..1", name, share));
    }
  }
  // At most half of the problems of each length, so that enough are left to learn from and the
  // search for one that is not held out stays short.
  const int64_t num_lengths = options.operands_max - options.operands_min + 1;
  const int64_t held_out_max = count_problems(task, options.operands_min) / 2 * num_lengths;
  if (options.held_out > held_out_max) {
    return invalid_argument(fmt::format(
        "held_out {} problems: only {} exist with {} operands, and at most half of each length may "
        "be held out; choose at most {} or more operands",
        options.held_out, count_problems(task, options.operands_min), options.operands_min,
        held_out_max));
  }
  return task;
}

class Maker {
 public:
  Maker(const ArithmeticOptions& options, Task task) : options_(options), task_(task) {}

  // Equally likely lengths take turns, so that each has its share of any beginning of the file.
  std::string held_out() {
    std::string rows;
    for (int64_t i = 0; i < options_.held_out; ++i) {
      auto random = stream(0, i);
      const int64_t num_operands =
          options_.tail == 1 ? options_.operands_min + i % num_lengths() : draw_length(random);
      Expression expression = draw(task_, num_operands, random);
      while (!held_out_.insert(prompt(expression)).second) {
        expression = draw(task_, num_operands, random);
      }
      rows += problem_row(expression);
    }
    return rows;
  }

  std::string train() {
    std::string rows;
    for (int64_t i = 0; i < options_.train; ++i) {
      auto random = stream(1, i);
      rows += problem_row(draw_to_learn(random));
    }
    return rows;
  }

  std::string clean() {
    std::string rows;
    for (int64_t i = 0; i < options_.cold_start_clean; ++i) {
      auto random = stream(2, i);
      const Expression expression = draw_to_learn(random);
      rows += demonstration_row(expression, worked_response(expression, steps(task_, expression)));
    }
    return rows;
  }

  std::string noisy() {
    std::string rows;
    for (int64_t i = 0; i < options_.cold_start_noisy; ++i) {
      auto random = stream(3, i);
      const Expression expression = draw_to_learn(random);
      const std::vector<int> right = steps(task_, expression);
      const bool is_guess = random.uniform() < options_.share_guess;
      const bool is_wrong = random.uniform() < options_.share_wrong;
      rows += demonstration_row(
          expression,
          is_guess
              ? response("", right.back())
              : worked_response(expression, is_wrong ? damaged(task_, expression, random) : right));
    }
    return rows;
  }

 private:
  int64_t num_lengths() const { return options_.operands_max - options_.operands_min + 1; }

  // A row is a function of its file and place: a longer file begins with the shorter one's rows.
  kernels::RandomStream stream(uint32_t file, int64_t row) const {
    return {options_.seed, kernels::StreamId::kMakeData, static_cast<uint64_t>(row), file};
  }

  int64_t draw_length(kernels::RandomStream& random) const {
    if (options_.tail == 1) {
      return options_.operands_min +
             static_cast<int64_t>(random.below(static_cast<uint64_t>(num_lengths())));
    }
    double all = 0, likelihood = 1;
    for (int64_t i = 0; i < num_lengths(); ++i, likelihood *= options_.tail) all += likelihood;
    double left = random.uniform() * all;
    int64_t num_operands = options_.operands_min;
    for (likelihood = 1; num_operands < options_.operands_max && left >= likelihood;
         likelihood *= options_.tail) {
      left -= likelihood;
      ++num_operands;
    }
    return num_operands;
  }

  Expression draw_to_learn(kernels::RandomStream& random) const {
    // The length is drawn once: drawing it again for a held-out problem would make short ones rare.
    const int64_t num_operands = draw_length(random);
    Expression expression = draw(task_, num_operands, random);
    while (held_out_.contains(prompt(expression))) expression = draw(task_, num_operands, random);
    return expression;
  }

  // Digits, operators and tags only: nothing needs escaping in JSON.
  std::string problem_row(const Expression& expression) const {
    return fmt::format("{{\"prompt\": \"{}\", \"gold\": \"{}\"}}\n", prompt(expression),
                       steps(task_, expression).back());
  }
  static std::string demonstration_row(const Expression& expression, std::string_view text) {
    return fmt::format("{{\"prompt\": \"{}\", \"response\": \"{}\"}}\n", prompt(expression), text);
  }

  const ArithmeticOptions& options_;
  Task task_;
  std::unordered_set<std::string> held_out_{};  // Asked for membership only: its order is nobody's.
};

}  // namespace

Status make_arithmetic(const ArithmeticOptions& options, const std::string& dir,
                       ExistingFiles existing) {
  const auto task = checked(options);
  if (!task) return task.error();
  Maker maker(options, *task);
  const std::string held_out = maker.held_out();  // First: the other files avoid its problems.
  return write_files(dir,
                     {{"held_out.jsonl", held_out},
                      {"train.jsonl", maker.train()},
                      {"cold_start_clean.jsonl", maker.clean()},
                      {"cold_start_noisy.jsonl", maker.noisy()}},
                     existing);
}

}  // namespace troupe::model
