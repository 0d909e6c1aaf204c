// The layouts in which data sets write a programming problem's tests. Each is told by its columns:
//
//   inputs             inputs, outputs [fn_name] [checker, checker_language]
//   input_output       {inputs, outputs [, fn_name]}
//   test_list          test_list [test_setup_code, test_imports]: assert statements
//   entry_point        prompt, test, entry_point: check(candidate)
//   test               test: functions test_...(), without an entry_point
//   public_test_cases  public_test_cases, private_test_cases [metadata, starter_code]
//   verification_info  {language, test_cases}
//   tests, test_cases, official_tests, unit_tests, examples: a list of {input, output [, type]}, of
//                      asserts, or an object of two lists
//   public_tests       public_tests, private_tests, generated_tests: {input: [], output: []}
//   ground_truth       ground_truth or reward_model.ground_truth: any of the above, or the code of
//                      tests
//
// Wherever a list or an object is wanted it may also be there as JSON text. What is null, or an
// empty text, list or object, is as if it were not there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/code/code_task.h"

namespace troupe::actors {

struct LaidOutTests {
  std::string layout{};    // The column by which it is known.
  CodeTask task{};         // Only what is the tests': format, tests, function, sources, checker.
  std::string language{};  // Where the layout names one.
};

// Every layout that the row has; `format` says as what inputs and outputs are to be read. What is
// there and cannot be read is kInvalidArgument, with the field and what stands there.
Result<std::vector<LaidOutTests>> find_tests(const Value& row, std::optional<CodeFormat> format);

// The one whose tests are to be run: that with the most, where it has all tests of the others.
// kInvalidArgument, naming two, for layouts that differ, and naming the columns where the row has
// none. `format` chooses among them; nothing: any.
Result<LaidOutTests> choose_tests(const Value& row, std::optional<CodeFormat> format);

}  // namespace troupe::actors
