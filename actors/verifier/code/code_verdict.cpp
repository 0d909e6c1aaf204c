#include "actors/verifier/code/code_verdict.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "actors/verifier/code/code_text.h"
#include "actors/verifier/code/language.h"
#include "actors/verifier/code/output_compare.h"
#include "actors/verifier/code/result_frame.h"
#include "actors/verifier/code/runners.h"
#include "actors/verifier/printable.h"
#include "actors/verifier/sandbox/toolchain.h"
#include "schemas/check.h"

namespace troupe::actors {
namespace {

constexpr double kCompileSeconds = 30;
constexpr int64_t kCompileMemoryBytes = int64_t{1} << 30;
constexpr int64_t kProgramBytesMax = 64 << 20;
constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kReportBytesMax = 24 << 20;  // A result's cap is in values.py.
// The tests' own work, on top of the program's.
constexpr double kTesterSeconds = 10;
constexpr int64_t kTesterMemoryBytes = 512 << 20;

// A run that was starved is repeated while no other box of this process runs. Whoever waits to be
// alone goes before those who come later: std::shared_mutex would let them wait for ever.
class Gate {
 public:
  void enter(bool is_alone) {
    std::unique_lock lock(mutex_);
    if (is_alone) {
      ++num_waiting_alone_;
      changed_.wait(lock, [this] { return num_inside_ == 0; });
      --num_waiting_alone_;
      is_closed_ = true;
    } else {
      changed_.wait(lock, [this] { return num_waiting_alone_ == 0 && !is_closed_; });
    }
    ++num_inside_;
  }
  void leave() {
    std::lock_guard lock(mutex_);
    --num_inside_;
    is_closed_ = false;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_{};
  std::condition_variable changed_{};
  int num_inside_ = 0;
  int num_waiting_alone_ = 0;
  bool is_closed_ = false;  // Somebody is alone inside.
};

class Inside {
 public:
  explicit Inside(bool is_alone) { gate().enter(is_alone); }
  ~Inside() { gate().leave(); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  static Gate& gate() {
    static Gate gate;
    return gate;
  }
};

std::string new_secret() {
  std::array<uint8_t, 16> bytes{};
  TROUPE_CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::string text;
  for (uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string shown(std::string_view text) {
  constexpr size_t kShownBytesMax = 200;
  return printable(text, kShownBytesMax);
}

// A function's body and no whole program.
bool is_indented(std::string_view code) {
  const size_t line = code.find_first_not_of("\r\n");
  return line != code.npos && (code[line] == ' ' || code[line] == '\t');
}

// What a prompt that stops behind "def f(x):" wants before a whole program can follow it.
std::string missing_body(std::string_view prompt) {
  while (!prompt.empty()) {
    const size_t begin = prompt.rfind('\n') == prompt.npos ? 0 : prompt.rfind('\n') + 1;
    const std::string_view line = prompt.substr(begin);
    const size_t first = line.find_first_not_of(" \t\r");
    if (first != line.npos && line[first] != '#') {
      if (line[line.find_last_not_of(" \t\r")] != ':') return {};
      return "\n" + std::string(line.substr(0, first)) + "    pass\n";
    }
    prompt = prompt.substr(0, begin == 0 ? 0 : begin - 1);
  }
  return {};
}

// Python wants them before everything else, and a whole program comes after its prompt.
std::string with_future_imports_first(std::string source) {
  constexpr std::string_view kFuture = "from __future__ import ";
  if (source.find(kFuture) == source.npos) return source;
  std::string first, rest;
  for (size_t at = 0; at < source.size();) {
    const size_t end = std::min(source.find('\n', at), source.size() - 1) + 1;
    const std::string_view line = std::string_view(source).substr(at, end - at);
    (line.starts_with(kFuture) ? first : rest) += line;
    at = end;
  }
  if (!first.empty() && first.back() != '\n') first += '\n';
  return first + rest;
}

struct Failure {
  VerdictKind kind = VerdictKind::kInfraError;
  std::string reason{};
};
using Outcome = std::optional<Failure>;  // Nothing: the test is passed.

// Ends that are verdicts by themselves, whatever was written; nothing for a program that ended of
// its own accord.
Outcome limit_failure(const BoxResult& result) {
  switch (result.end) {
    case BoxEnd::kExited:
    case BoxEnd::kSignalled:
      return {};
    case BoxEnd::kCpuLimit:
      return Failure{VerdictKind::kTimeout, "it used up its processor time"};
    case BoxEnd::kWallLimit:
      return Failure{VerdictKind::kTimeout, "it waited until its time was up"};
    case BoxEnd::kMemoryLimit:
      return Failure{VerdictKind::kResourceLimit, "it used up its memory"};
    case BoxEnd::kOutputLimit:
      return Failure{VerdictKind::kResourceLimit, "it wrote too much"};
    case BoxEnd::kStarved:
      return Failure{VerdictKind::kInfraError, "it got too little of the processor"};
    case BoxEnd::kKilled:
    case BoxEnd::kFailed:
      return Failure{VerdictKind::kInfraError, "the box failed: " + shown(result.reason)};
  }
  return Failure{};
}

Failure raised(std::string_view what) {
  const bool is_memory = what.starts_with("MemoryError");
  const bool is_module = what.starts_with("ModuleNotFoundError");
  return {is_memory ? VerdictKind::kResourceLimit : VerdictKind::kRuntimeError,
          "it raised " + shown(what) +
              (is_module ? " (installed packages are there with python_packages only)" : "")};
}

Failure died(const BoxResult& result) {
  return {VerdictKind::kRuntimeError,
          result.end == BoxEnd::kSignalled
              ? fmt::format("it died of signal {}", result.signal)
              : fmt::format("it ended with status {} and without a result", result.exit_status)};
}

// A program ready to run: as text, or compiled.
struct Program {
  const Language* language = nullptr;
  std::vector<BoxFile> files{};
};

// One verdict: a program against its tests.
class Trial {
 public:
  Trial(Sandbox& sandbox, const CodeTask& task) : sandbox_(sandbox), task_(task) {}

  CodeVerdict verify(std::string_view code) {
    const bool has_sources = !task_.test_sources.empty();
    verdict_.total =
        static_cast<int64_t>(has_sources ? task_.test_sources.size() : task_.tests.size());
    if (code.size() > kCodeBytesMax) {
      return ended(Failure{VerdictKind::kCompileError, "the program is too long"});
    }
    if (has_sources) return ended(run_sources(code));
    Program program;
    if (Outcome failure = prepare(task_.language, code, program)) return ended(*failure);
    Program checker;
    if (task_.format == CodeFormat::kJudge) {
      if (Outcome failure = prepare(task_.checker_language, task_.checker, checker)) {
        return ended(gold_failure("the checker does not compile: ", *failure));
      }
    }
    Outcome failure =
        task_.format == CodeFormat::kFunction ? call_all(program) : run_all(program, checker);
    if (failure && failure->kind != VerdictKind::kCompileError) {
      failure->reason =
          fmt::format("test {} of {}: {}", verdict_.passed + 1, verdict_.total, failure->reason);
    }
    return ended(failure);
  }

 private:
  CodeVerdict ended(const Outcome& failure) {
    verdict_.kind = failure ? failure->kind : VerdictKind::kPassed;
    verdict_.reason = failure               ? failure->reason
                      : verdict_.total == 1 ? "passed its test"
                                            : fmt::format("passed {} tests", verdict_.total);
    return std::move(verdict_);
  }

  // Trouble with what the problem brought along is not the program's.
  static Failure gold_failure(std::string_view what, const Failure& failure) {
    if (failure.kind == VerdictKind::kInfraError) return failure;
    return {VerdictKind::kGoldUnparseable, std::string(what) + failure.reason};
  }

  BoxLimits limits() const {
    BoxLimits limits;
    limits.cpu_seconds = task_.seconds;
    limits.memory_bytes = task_.memory_mb * kMegabyte;
    limits.output_bytes = kReportBytesMax;
    return limits;
  }

  BoxResult run(const BoxProgram& program) {
    BoxResult result;
    {
      const Inside inside(/*is_alone=*/false);
      result = sandbox_.run(program);
    }
    if (result.end != BoxEnd::kStarved && result.end != BoxEnd::kFailed) return result;
    const Inside inside(/*is_alone=*/true);
    return sandbox_.run(program);
  }

  Outcome prepare(const std::string& language_name, std::string_view code, Program& program) {
    program.language = find_language(language_name);
    TROUPE_CHECK(program.language != nullptr);
    const BoxFile source{.name = std::string(program.language->source),
                         .content = std::string(code)};
    if (program.language->compile_script.empty()) {
      program.files = {source, python_runner(sandbox_, "program.py")};
      return {};
    }
    BoxProgram compiler;
    compiler.toolchain = program.language->toolchain;
    compiler.argv = {"/bin/sh", "-c", std::string(program.language->compile_script)};
    compiler.files = {source};
    compiler.limits = {.cpu_seconds = kCompileSeconds,
                       .memory_bytes = kCompileMemoryBytes,
                       .disk_bytes = kProgramBytesMax,
                       .output_bytes = kProgramBytesMax};
    BoxResult result = run(compiler);
    if (Outcome failure = limit_failure(result)) {
      if (failure->kind == VerdictKind::kInfraError) return failure;
      return Failure{VerdictKind::kCompileError, "while it was compiled, " + failure->reason};
    }
    if (result.end != BoxEnd::kExited || result.exit_status != 0 || result.output.empty()) {
      const size_t at = std::min(result.errors.find("error:"), result.errors.size());
      std::string_view line = std::string_view(result.errors).substr(at);
      line = line.substr(0, line.find('\n'));
      return Failure{VerdictKind::kCompileError, "it does not compile: " + shown(line)};
    }
    program.files = {
        {.name = "program", .content = std::move(result.output), .is_executable = true}};
    return {};
  }

  BoxProgram boxed(const Program& program) const {
    BoxProgram box;
    box.toolchain = program.language->toolchain;
    box.argv = program.language->run;
    box.files = program.files;
    box.has_report = program.language->compile_script.empty();
    box.limits = limits();
    allow_packages(box);
    return box;
  }

  void allow_packages(BoxProgram& box) const {
    if (!task_.has_packages || box.toolchain != "python") return;
    box.toolchain = sandbox::kPythonWithPackages;
    box.files.push_back(
        {.name = "packages",
         .content = fmt::format("{}", fmt::join(sandbox::python_package_folders(), "\n"))});
  }

  // Every test in a box of its own.
  Outcome run_all(const Program& program, const Program& checker) {
    for (const CodeTest& test : task_.tests) {
      if (Outcome failure = run_streams(program, test, checker)) return failure;
      ++verdict_.passed;
    }
    return {};
  }

  Outcome run_streams(const Program& program, const CodeTest& test, const Program& checker) {
    BoxProgram box = boxed(program);
    box.input = test.input;
    const BoxResult result = run(box);
    if (Outcome failure = limit_failure(result)) return failure;
    // The report says why; that something is wrong is known without it.
    const std::string_view report = result.report;
    if (report.starts_with("syntax ")) {
      return Failure{VerdictKind::kCompileError, "it does not compile: " + shown(report.substr(7))};
    }
    if (report.starts_with("raised ")) return raised(report.substr(7));
    if (result.end == BoxEnd::kSignalled) return died(result);
    if (result.exit_status != 0) {
      return Failure{VerdictKind::kRuntimeError,
                     fmt::format("it ended with status {}", result.exit_status)};
    }
    if (task_.format == CodeFormat::kJudge) return ask_checker(checker, test, result.output);
    const std::string where = difference(result.output, test.output);
    if (!where.empty()) return Failure{VerdictKind::kWrongAnswer, where};
    return {};
  }

  // As contests have it: checker INPUT OUTPUT ANSWER, with status 0 for right, 1 or 2 for wrong.
  // The checker is the problem's, so its exit status counts; what it reads is not, so it is boxed.
  BoxResult run_checker(const Program& checker, const CodeTest& test, const std::string& output) {
    BoxProgram box = boxed(checker);
    for (const char* name : {"/box/input", "/box/output", "/box/answer"}) box.argv.push_back(name);
    box.files.push_back({.name = "input", .content = test.input});
    box.files.push_back({.name = "output", .content = output});
    box.files.push_back({.name = "answer", .content = test.output});
    box.limits.cpu_seconds += kTesterSeconds;
    box.limits.memory_bytes += kTesterMemoryBytes;
    return run(box);
  }

  // It raised, crashed or met a limit.
  static bool has_broken(const BoxResult& checker) {
    return checker.end != BoxEnd::kExited || checker.report.starts_with("raised ");
  }

  Outcome ask_checker(const Program& checker, const CodeTest& test, const std::string& output) {
    const BoxResult result = run_checker(checker, test, output);
    Outcome limit = limit_failure(result);
    if (limit && limit->kind == VerdictKind::kInfraError) return limit;
    if (!has_broken(result)) {
      if (result.exit_status == 0) return {};
      // testlib's word for a mistake of the problem is 3.
      if (result.exit_status > 2 || !result.report.empty()) {
        return gold_failure("the checker: ", died(result));
      }
      return Failure{VerdictKind::kWrongAnswer, "the checker refuses the output"};
    }
    // That is the output's doing, unless the right one breaks it too.
    const bool is_right = output == test.output;
    if (is_right || (!test.output.empty() && has_broken(run_checker(checker, test, test.output)))) {
      return gold_failure("the checker breaks on the right output: ",
                          limit ? *limit : died(result));
    }
    return Failure{VerdictKind::kWrongAnswer, "the checker cannot read the output"};
  }

  // All tests in one box, each in a process of its own: starting Python is what costs.
  Outcome call_all(const Program& program) {
    const std::string secret = new_secret();
    const auto num_tests = static_cast<int64_t>(task_.tests.size());
    BoxProgram box = boxed({program.language, {program.files.front()}});
    box.argv = python_command("/box/call.py");
    box.files.push_back(python_runner(sandbox_, "call.py"));
    box.input =
        message(secret) + message(task_.function) + message(fmt::format("{}", task_.seconds));
    for (const CodeTest& test : task_.tests) {
      box.input += message(encode(Value::list(test.arguments)));
    }
    box.limits.cpu_seconds = task_.seconds * static_cast<double>(num_tests) + 1;
    box.limits.output_bytes = kReportBytesMax + std::min<int64_t>(num_tests, 40) * kMegabyte;
    const BoxResult result = run(box);
    std::string_view report = result.report;
    for (const CodeTest& test : task_.tests) {
      const auto frame = next_result_frame(report, secret);
      Outcome failure = frame ? judge_call(*frame, test) : limit_failure(result);
      if (!frame && !failure) failure = died(result);
      if (failure) return failure;
      ++verdict_.passed;
    }
    return {};
  }

  static Outcome judge_call(const ResultFrame& frame, const CodeTest& test) {
    const size_t space = std::min(frame.payload.find(' '), frame.payload.size());
    const std::string_view status = frame.payload.substr(0, space);
    const std::string_view bytes = frame.payload.substr(std::min(space + 1, frame.payload.size()));
    if (frame.ended == "timeout") {
      return Failure{VerdictKind::kTimeout, "it used up its time"};
    }
    if (status == "syntax") {
      return Failure{VerdictKind::kCompileError, "it does not compile: " + shown(bytes)};
    }
    if (status == "raised") return raised(bytes);
    if (status == "missing") {
      return Failure{VerdictKind::kRuntimeError, "it does not define " + shown(bytes)};
    }
    if (status == "unwritable") {
      return Failure{VerdictKind::kWrongAnswer, "it returned " + shown(bytes)};
    }
    const auto value = status == "value" ? decode(bytes) : std::nullopt;
    if (!value || frame.ended != "exit") {
      return Failure{VerdictKind::kRuntimeError, "its process ended without a result"};
    }
    const bool is_right = is_expected(*value, test.result) ||
                          (test.has_unwrapped_result && is_expected(*value, test.result.items[0]));
    if (!is_right) return Failure{VerdictKind::kWrongAnswer, "the result is not what was expected"};
    return {};
  }

  // ---- Tests that are code: the program in one box, they in another.

  struct Joint {
    BoxResult program{};
    BoxResult tester{};
    bool is_started = false;
    std::string trouble{};
  };

  Joint run_joined(BoxProgram program, BoxProgram tester) {
    Joint joint;
    int to_program[2], to_tester[2];
    if (pipe2(to_program, O_CLOEXEC) != 0) {
      joint.trouble = "no pipe";
      return joint;
    }
    if (pipe2(to_tester, O_CLOEXEC) != 0) {
      close(to_program[0]);
      close(to_program[1]);
      joint.trouble = "no pipe";
      return joint;
    }
    program.input_fd = to_program[0];
    program.output_fd = to_tester[1];
    tester.input_fd = to_tester[0];
    tester.output_fd = to_program[1];
    auto program_box = sandbox_.start(program);
    auto tester_box = sandbox_.start(tester);
    for (int fd : {to_program[0], to_program[1], to_tester[0], to_tester[1]}) close(fd);
    if (!program_box || !tester_box) {
      joint.trouble = program_box ? tester_box.error().message : program_box.error().message;
      return joint;
    }
    joint.is_started = true;
    std::thread waiter([&] { joint.program = program_box->wait(); });
    joint.tester = tester_box->wait();
    program_box->kill();
    waiter.join();
    return joint;
  }

  Outcome run_sources(std::string_view code) {
    const std::string secret = new_secret();
    const Language* language = find_language(task_.language);
    std::string source = task_.prompt;
    const bool is_humaneval = task_.format == CodeFormat::kHumanEval;
    const char* form = is_humaneval                          ? "humaneval"
                       : task_.format == CodeFormat::kPytest ? "pytest"
                                                             : "mbpp";
    if (!is_indented(code)) source += missing_body(source);
    // A completion goes on where the prompt stops; a whole function comes after it.
    if (!source.empty() && source.back() != '\n' && !code.starts_with(' ')) source += '\n';
    source += code;
    source = with_future_imports_first(std::move(source));

    BoxProgram program;
    program.toolchain = language->toolchain;
    program.argv = python_command("/box/serve.py");
    program.files = {{.name = std::string(language->source), .content = std::move(source)},
                     python_runner(sandbox_, "serve.py")};
    program.limits = limits();

    Value tests = Value::list({});
    for (const std::string& test : task_.test_sources) tests.items.push_back(Value::of_text(test));
    const Value plan = Value::list(
        {Value::of_text(secret), Value::of_text(form), Value::of_text(task_.function),
         Value::of_text(is_humaneval ? task_.prompt : task_.before_tests), std::move(tests)});
    BoxProgram tester;
    tester.toolchain = "python";
    tester.argv = python_command("/box/check.py");
    tester.files = {{.name = "plan", .content = encode(plan)}, python_runner(sandbox_, "check.py")};
    tester.has_report = true;
    tester.limits = limits();
    tester.limits.cpu_seconds += kTesterSeconds;
    tester.limits.wall_seconds = 2 * task_.seconds + kTesterSeconds;
    tester.limits.memory_bytes += kTesterMemoryBytes;
    program.limits.wall_seconds = tester.limits.wall_seconds;
    allow_packages(program);
    allow_packages(tester);

    Joint joint;
    {
      const Inside inside(/*is_alone=*/false);
      joint = run_joined(program, tester);
    }
    const auto is_broken = [](const BoxResult& result) {
      return result.end == BoxEnd::kStarved || result.end == BoxEnd::kFailed;
    };
    if (!joint.is_started || is_broken(joint.program) || is_broken(joint.tester)) {
      const Inside inside(/*is_alone=*/true);
      joint = run_joined(program, tester);
    }
    if (!joint.is_started) return Failure{VerdictKind::kInfraError, shown(joint.trouble)};
    return judge_joint(joint, secret);
  }

  Outcome judge_joint(const Joint& joint, std::string_view secret) {
    const auto report = read_tester_report(joint.tester.report, secret);
    // It was stopped because the tests were over: that is no end of its own.
    const bool has_own_end = joint.program.end != BoxEnd::kKilled;
    if (!report) {
      if (has_own_end) {
        if (Outcome failure = limit_failure(joint.program)) return failure;
      }
      if (Outcome failure = limit_failure(joint.tester)) return failure;
      if (joint.tester.end == BoxEnd::kSignalled) return died(joint.tester);
      return Failure{VerdictKind::kGoldUnparseable, "the tests ended without a verdict"};
    }
    verdict_.passed = std::clamp<int64_t>(report->passed, 0, verdict_.total);
    const std::string detail = shown(report->detail);
    const std::string& status = report->status;
    if (status == "passed" && report->passed == verdict_.total) return {};
    if (status == "broken") {
      return Failure{VerdictKind::kGoldUnparseable, "the tests are broken: " + detail};
    }
    if (status == "syntax") {
      return Failure{VerdictKind::kCompileError, "it does not compile: " + detail};
    }
    if (status == "failed") {
      return Failure{VerdictKind::kWrongAnswer,
                     detail.empty() ? "an assertion of the tests failed" : detail};
    }
    if (status == "raised") {
      const bool is_memory = detail.find("raised MemoryError") != std::string::npos;
      return Failure{is_memory ? VerdictKind::kResourceLimit : VerdictKind::kRuntimeError, detail};
    }
    if (has_own_end) {
      if (Outcome failure = limit_failure(joint.program)) return failure;
      return died(joint.program);
    }
    return Failure{VerdictKind::kRuntimeError, "it stopped answering its tests"};
  }

  static std::string message(std::string_view bytes) {
    return fmt::format("{:08x}", bytes.size()) + std::string(bytes);
  }

  Sandbox& sandbox_;
  const CodeTask& task_;
  CodeVerdict verdict_{};
};

}  // namespace

CodeVerdict verify_code(Sandbox& sandbox, const CodeTask& task, std::string_view code) {
  return Trial(sandbox, task).verify(code);
}

CodeVerdict verify_code_response(Sandbox& sandbox, const CodeTask& task,
                                 std::string_view response) {
  const ExtractedCode extracted = extract_code(response, wanted_program(task));
  if (!extracted.code) return {.kind = VerdictKind::kNoAnswer, .reason = extracted.reason};
  return verify_code(sandbox, task, *extracted.code);
}

}  // namespace troupe::actors
