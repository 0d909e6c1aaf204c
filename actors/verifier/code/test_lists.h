// The two shapes in which nearly every data set lists tests: two lists side by side, and one list
// of objects with an input and an output.
#pragma once

#include <string>
#include <string_view>

#include "actors/verifier/code/code_task.h"
#include "actors/verifier/code/row_fields.h"
#include "schemas/result.h"

namespace troupe::actors {

// What a row says for all of its tests.
struct CaseDefaults {
  std::string function{};
  std::string starter_code{};  // Where nothing else names the function, its only one does.
};

// Fills task.tests from two fields, for task.format kStdio, kJudge (the outputs may be missing) or
// kFunction.
Status read_two_lists(const RowFields& fields, std::string_view inputs, std::string_view outputs,
                      CodeTask& task);

// A list of {input, output [, type, fn_name]}, a list of asserts, an object with two lists, or code
// as one text. Sets task.format too. False: this is none of them.
Result<bool> read_test_list_of_any_kind(const Value& value, const CaseDefaults& defaults,
                                        CodeTask& task);

// Whether a line of the code begins a function test_...(), also within a class.
bool has_test_functions(std::string_view code);

}  // namespace troupe::actors
