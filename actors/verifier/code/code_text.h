// Finding the program in a response.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/code/code_task.h"

namespace troupe::actors {

// By what the block that is meant can be told from others. It is told from the tests' text only.
struct WantedProgram {
  std::string language = "python";
  bool is_whole = true;              // It reads standard input; otherwise its functions are called.
  std::vector<std::string> names{};  // Of functions and classes that the tests call; sorted.
  bool may_be_body = false;          // What goes on where a prompt stops is a function's body.
};
WantedProgram wanted_program(const CodeTask& task);

// Only text after the last </think> counts; with <answer> tags there must be exactly one pair, and
// only what is inside counts. There, of the closed blocks in the language (or without a label), one
// is the program: the last that defines what the tests call or, for a whole program, the last that
// reads standard input (in C and C++: has a main()); where none does, the last one. A label of the
// language goes before none. Without any block it is all of the text between the <answer> tags. A
// block that is not closed is cut off and does not count.
struct ExtractedCode {
  std::optional<std::string> code{};
  std::string reason{};  // Why there is none.
};
ExtractedCode extract_code(std::string_view response, const WantedProgram& wanted);

}  // namespace troupe::actors
