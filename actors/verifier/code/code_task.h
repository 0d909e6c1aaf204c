// A programming problem's tests, whichever way a data set writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/code/value.h"
#include "schemas/result.h"

namespace troupe::actors {

enum class CodeFormat : uint8_t {
  kHumanEval,  // prompt, test, entry_point: check(candidate)
  kMbpp,       // test_list: assert statements [test_setup_code, test_imports]
  kStdio,      // inputs, outputs: what a whole program reads and prints
  kFunction,   // inputs, outputs, fn_name: arguments and result
  kJudge,      // inputs [outputs], checker [checker_language]: a program decides
  kPytest,     // test: functions test_...() that import from `solution`
};

struct CodeTest {
  std::string input{};             // kStdio, kJudge
  std::string output{};            // kStdio; kJudge: the reference output, maybe empty.
  std::vector<Value> arguments{};  // kFunction
  Value result{};                  // kFunction
  // APPS wraps a result in a list of one: this is what is inside, where it can be read so.
  bool has_unwrapped_result = false;
};

struct CodeTask {
  CodeFormat format = CodeFormat::kStdio;
  std::string language = "python";
  double seconds = 6;  // Of CPU, for every test.
  int64_t memory_mb = 512;
  bool has_packages = false;  // Python's installed packages are in the box.

  std::vector<CodeTest> tests{};  // kStdio, kFunction, kJudge: at least one.
  std::string function{};         // kFunction: its name; kHumanEval: entry_point

  std::string prompt{};                     // kHumanEval: the code before the completion.
  std::string before_tests{};               // kMbpp: imports and set-up.
  std::vector<std::string> test_sources{};  // kHumanEval, kPytest: one; kMbpp: one per assertion.

  std::string checker{};  // kJudge: source.
  std::string checker_language = "python";
};

inline constexpr double kCodeSecondsMax = 600;
inline constexpr int64_t kCodeMemoryMbMin = 16;
inline constexpr int64_t kCodeMemoryMbMax = 1 << 16;
inline constexpr size_t kCodeTestsMax = 10'000;
inline constexpr size_t kCodeBytesMax = 1 << 20;  // Of a program.

// A row of a data set, with its tests in one of the layouts of code_layouts.h. Fields that are
// missing or null keep the values of `defaults`. kInvalidArgument names the field that is missing,
// unknown in value, out of range or of a wrong type, or the two layouts whose tests differ.
Result<CodeTask> read_code_task(const Value& object, const CodeTask& defaults);

}  // namespace troupe::actors
