// The languages that programs may be written in: one row each.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actors {

struct Language {
  std::string_view name{};
  std::vector<std::string_view> labels{};  // Of ``` blocks, in lower case.
  std::string_view toolchain{};            // A box's.
  std::string_view source{};               // The program's file name in the box.
  // Compiles /box/SOURCE and writes the program to standard output; empty: it is run as it is.
  std::string_view compile_script{};
  std::vector<std::string> run{};  // argv
  bool has_functions = false;      // Formats that call functions work, not only whole programs.
};

// argv that runs a Python program of the box, given by its path, or "-c".
std::vector<std::string> python_command(std::string_view program);

std::span<const Language> languages();
const Language* find_language(std::string_view name);  // nullptr: unknown.

}  // namespace troupe::actors
