// verify math and verify code: verdicts for given answers, JSON lines in, JSON lines out.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actors/job/prepared_job.h"
#include "actors/verifier/code/code_verdict.h"
#include "actors/verifier/math/extraction.h"
#include "actors/verifier/math/math_verdict.h"
#include "cluster/cli/command.h"
#include "cluster/cli/input_lines.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

using json = nlohmann::ordered_json;
using actors::BoxLevel;
using actors::CodeTask;
using actors::CodeVerdict;
using actors::Sandbox;
using actors::Value;

struct InputLine {
  std::string text{};
  int64_t number = 0;
};

// Batches of lines go in as they come and out in the same order, judged by several threads in
// between. At most kAheadMax batches are held, so that an endless input needs no endless memory.
class OrderedBatches {
 public:
  static constexpr size_t kBatchLinesMax = 64;
  // The answers to a batch, each with its line end.
  using Judge = std::function<std::string(const std::vector<InputLine>& batch)>;

  OrderedBatches(int threads, Judge judge) : judge_(std::move(judge)) {
    for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
    printer_ = std::thread([this] { print(); });
  }

  void add(std::vector<InputLine> lines) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return batches_.size() < kAheadMax; });
    batches_.push_back({.lines = std::move(lines)});
    changed_.notify_all();
  }

  // Everything is judged when this returns, and written unless it returns false.
  bool finish() {
    {
      std::lock_guard lock(mutex_);
      is_finished_ = true;
      changed_.notify_all();
    }
    for (std::thread& worker : workers_) worker.join();
    printer_.join();
    return !is_lost_;
  }

 private:
  static constexpr size_t kAheadMax = 256;

  struct Batch {
    std::vector<InputLine> lines{};
    std::string answers{};
    bool is_judged = false;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return num_taken_ < batches_.size() || is_finished_; });
      if (num_taken_ == batches_.size()) return;
      // References into a deque stay good while others are added at its end.
      Batch& batch = batches_[num_taken_++];
      lock.unlock();
      std::string answers = judge_(batch.lines);
      lock.lock();
      batch.answers = std::move(answers);
      batch.is_judged = true;
      changed_.notify_all();
    }
  }

  void print() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(
          lock, [this] { return batches_.empty() ? is_finished_ : batches_.front().is_judged; });
      if (batches_.empty()) return;
      std::string text;
      while (!batches_.empty() && batches_.front().is_judged) {
        text += batches_.front().answers;
        batches_.pop_front();
        --num_taken_;
      }
      changed_.notify_all();
      lock.unlock();
      const bool is_written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                              std::fflush(stdout) == 0;
      lock.lock();
      is_lost_ = is_lost_ || !is_written;
    }
  }

  Judge judge_;
  std::mutex mutex_{};
  std::condition_variable changed_{};
  std::deque<Batch> batches_{};
  size_t num_taken_ = 0;  // Of batches_, from its front.
  bool is_finished_ = false;
  bool is_lost_ = false;  // The output could not be written.
  std::vector<std::thread> workers_{};
  std::thread printer_{};
};

struct VerifyCommand {
  int jobs = 0;
  std::string sandbox = "full";
  double seconds = CodeTask{}.seconds;
  int64_t memory_mb = CodeTask{}.memory_mb;
  bool has_packages = false;
  std::string extraction = "marked";
};

class Stopwatch {
 public:
  double milliseconds() const {
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    return static_cast<double>(static_cast<int64_t>(ms * 1000)) / 1000;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

json score(VerdictKind kind, bool is_right) {
  if (!is_payable(kind)) return nullptr;
  return is_right ? 1.0 : 0.0;
}

std::string dumped(const json& object) { return to_text(object, {.replaces_invalid = true}); }

// A line that is no question: the answer says so in its place, and the command ends with 2.
std::string refused(int64_t number, const std::string& what) {
  return dumped({{"error", fmt::format("standard input:{}: {}", number, what)}});
}

const std::string* text_of(const Value& object, std::string_view field) {
  const Value* value = object.find(field);
  return value && value->kind == Value::Kind::kText ? &value->text : nullptr;
}

// A text, a number, or a list of which any is right, as in data files.
std::optional<std::string> gold_of(const Value& object) {
  const Value* value = object.find("gold");
  if (value == nullptr) return {};
  const auto one = [](const Value& item) -> std::optional<std::string> {
    const bool is_one = item.kind == Value::Kind::kText || item.kind == Value::Kind::kInteger ||
                        item.kind == Value::Kind::kReal;
    return is_one ? std::optional(item.text) : std::nullopt;
  };
  if (value->kind != Value::Kind::kList) return one(*value);
  std::vector<std::string> texts;
  for (const Value& item : value->items) {
    const auto text = one(item);
    if (!text) return {};
    texts.push_back(*text);
  }
  if (texts.empty()) return {};
  return texts.size() == 1 ? texts[0] : to_text(nlohmann::json(texts), {.replaces_invalid = true});
}

Result<std::string> judge_math(actors::Extraction extraction, const std::string& line) {
  auto object = actors::value_from_json(line);
  if (!object) return object.error();
  const auto gold = gold_of(*object);
  const std::string* answer = text_of(*object, "answer");
  const std::string* response = text_of(*object, "response");
  if (!gold) {
    return invalid_argument("the field gold is missing, or no text, number or list of them");
  }
  if ((answer != nullptr) == (response != nullptr)) {
    return invalid_argument("one of the fields answer and response must be there, as text");
  }
  const Stopwatch stopwatch;
  const actors::MathVerdict verdict = answer ? actors::verify_math_answer(*answer, *gold)
                                             : actors::verify_math(*response, *gold, extraction);
  const bool has_answer = verdict.kind != VerdictKind::kNoAnswer;
  return dumped({{"verdict", name(verdict.kind)},
                 {"score", score(verdict.kind, verdict.kind == VerdictKind::kEqual)},
                 {"extracted", has_answer ? json(verdict.extracted) : json(nullptr)},
                 {"reason", verdict.reason},
                 {"milliseconds", stopwatch.milliseconds()}});
}

Result<std::string> judge_code(Sandbox& sandbox, const CodeTask& defaults,
                               const std::string& line) {
  auto object = actors::value_from_json(line);
  if (!object) return object.error();
  const std::string* code = text_of(*object, "code");
  const std::string* response = text_of(*object, "response");
  if ((code != nullptr) == (response != nullptr)) {
    return invalid_argument("one of the fields code and response must be there, as text");
  }
  auto task = actors::read_code_task(*object, defaults);
  if (!task) return task.error();
  // Here the lines are the user's own; in a job the reward says it, and never the data.
  const Value* packages = object->find("python_packages");
  if (packages != nullptr && packages->kind == Value::Kind::kBool && packages->boolean) {
    task->has_packages = true;
  }
  const Stopwatch stopwatch;
  // No program begins with a fence: this is the block that a response has.
  const size_t begin = code ? code->find_first_not_of(" \t\r\n") : std::string::npos;
  const bool is_fenced = begin != std::string::npos && code->compare(begin, 3, "```") == 0;
  const CodeVerdict verdict =
      code && !is_fenced ? actors::verify_code(sandbox, *task, *code)
                         : actors::verify_code_response(sandbox, *task, code ? *code : *response);
  return dumped({{"verdict", name(verdict.kind)},
                 {"score", score(verdict.kind, verdict.is_passed())},
                 {"tests", {{"passed", verdict.passed}, {"total", verdict.total}}},
                 {"reason", verdict.reason},
                 {"milliseconds", stopwatch.milliseconds()}});
}

int run_lines(const VerifyCommand& command, const std::string& name, size_t batch_lines_max,
              const std::function<Result<std::string>(const std::string&)>& judge) {
  std::atomic<int64_t> num_refused = 0;
  const int threads = command.jobs > 0 ? command.jobs : actors::available_cores();
  OrderedBatches batches(threads, [&](const std::vector<InputLine>& batch) {
    std::string answers;
    for (const InputLine& line : batch) {
      auto verdict = judge(line.text);
      if (!verdict) ++num_refused;
      answers += verdict ? *verdict : refused(line.number, verdict.error().message);
      answers += '\n';
    }
    return answers;
  });
  InputLines input;
  Status status = ok();
  std::vector<InputLine> batch;
  while (true) {
    auto line = input.next();
    if (line && *line) batch.push_back({std::move(**line), input.number()});
    const bool is_last = !line || !*line;
    // Nobody waits for the answer to a line because the next one has not come.
    if (is_last || batch.size() == batch_lines_max || !input.has_more_at_hand()) {
      batches.add(std::exchange(batch, {}));
    }
    if (!line) status = line.error();
    if (is_last) break;
  }
  if (!batches.finish()) {
    return report(name, Error{ErrorCode::kInternal, "standard output: cannot be written"});
  }
  if (!status) return report(name, status.error());
  if (num_refused > 0) {
    return report(name, invalid_argument(fmt::format(
                            "{} lines of the input were refused; see \"error\" in the output",
                            num_refused.load())));
  }
  return 0;
}

constexpr const char* kMathExample =
    "Example:\n"
    "  echo '{\"gold\": \"\\\\frac{1}{2}\", \"answer\": \"0.5\"}' | troupe verify math\n"
    "Verdicts: equal, different, undecided, no_answer, gold_unparseable (score: null).";
constexpr const char* kCodeExample =
    "Example:\n"
    "  echo '{\"language\": \"python\", \"code\": \"print(int(input()) + 1)\", \"inputs\": "
    "[\"1\"], "
    "\"outputs\": [\"2\"]}' | troupe verify code\n"
    "Formats, by their fields: humaneval (prompt, test, entry_point), mbpp (test_list,\n"
    "test_setup_code), stdio (inputs, outputs), function (inputs, outputs, fn_name), judge "
    "(inputs,\n"
    "outputs, checker, checker_language), pytest (test); and the same in input_output,\n"
    "ground_truth, tests, test_cases, verification_info, public_test_cases, public_tests.\n"
    "Languages: python; c and cpp for stdio and judge.\n"
    "Verdicts: passed, wrong_answer, compile_error, runtime_error, timeout, resource_limit,\n"
    "no_answer (a response without code), gold_unparseable and infra_error (score: null).";

}  // namespace

void add_verify(Command& program, int& exit_code) {
  Command verify = program.add_command(
      "verify", "Verdicts for given answers: JSON lines from standard input, in their order");
  verify.require_command();
  auto command = std::make_shared<VerifyCommand>();

  Command math = verify.add_command(
      "math", "Is an answer the gold? {\"gold\", \"answer\"} or {\"gold\", \"response\"}");
  math.add_option("--jobs", command->jobs, "Threads; 0: one per core").range(0, 1024);
  math.add_option("--extraction", command->extraction,
                  "last_number: where a response marks no answer, its last number")
      .show_default()
      .one_of({"marked", "last_number"});
  math.footer(kMathExample);
  math.callback([command, &exit_code] {
    const auto extraction =
        actors::extraction_of(command->extraction).value_or(actors::Extraction::kMarked);
    exit_code =
        run_lines(*command, "verify math", OrderedBatches::kBatchLinesMax,
                  [extraction](const std::string& line) { return judge_math(extraction, line); });
  });

  Command code = verify.add_command(
      "code", "Does a program pass its tests? {\"code\" or \"response\", \"language\", tests}");
  code.add_option("--jobs", command->jobs, "Programs at a time; 0: one per core").range(0, 1024);
  code.add_option("--seconds", command->seconds, "CPU seconds per test where a line has none")
      .show_default()
      .range(0.01, actors::kCodeSecondsMax);
  code.add_option("--memory-mb", command->memory_mb, "Memory where a line has no memory_mb")
      .show_default()
      .range(actors::kCodeMemoryMbMin, actors::kCodeMemoryMbMax);
  code.add_option("--sandbox", command->sandbox,
                  "The isolation that must be there; see troupe doctor")
      .show_default()
      .one_of({"full", "namespaces_only"});
  code.add_flag("--python-packages", command->has_packages,
                "Programs may import the Python packages that are installed here");
  code.footer(kCodeExample);
  code.callback([command, &exit_code] {
    auto sandbox =
        Sandbox::open(command->sandbox == "full" ? BoxLevel::kFull : BoxLevel::kNamespacesOnly);
    if (!sandbox) {
      exit_code = report("verify code", sandbox.error());
      return;
    }
    CodeTask defaults;
    defaults.seconds = command->seconds;
    defaults.memory_mb = command->memory_mb;
    defaults.has_packages = command->has_packages;
    exit_code = run_lines(*command, "verify code", 1, [&](const std::string& line) {
      return judge_code(**sandbox, defaults, line);
    });
  });
}

}  // namespace troupe::cluster
