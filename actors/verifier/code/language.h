// The languages that programs may be written in: one row each.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actors {

struct Language {
  std::string_view name{};
  // What people call it, in lower case and without version: "c++17" is "c++" here.
  std::vector<std::string_view> words{};
  std::string_view versions{};   // The digits with which a version may begin.
  std::string_view toolchain{};  // A box's.
  std::string_view source{};     // The program's file name in the box.
  // Compiles /box/SOURCE and writes the program to standard output; empty: it is run as it is.
  std::string_view compile_script{};
  std::vector<std::string> run{};  // argv
  bool has_functions = false;      // Formats that call functions work, not only whole programs.
};

// argv that runs a Python program of the box, given by its path, or "-c".
std::vector<std::string> python_command(std::string_view program);

std::span<const Language> languages();

// By its name as people write it, in any case: "Python", "Python 3", "python3.11", "PyPy 3-64",
// "py"; "C++", "cpp17", "GNU C++17 (64)", "g++"; "C", "c11", "gcc". nullptr: unknown. Python 2 is
// another language, which is not run here.
const Language* find_language(std::string_view name);

// By the label of a block of code: its first word is such a name ("{.python}", "python title=x"),
// or a file's name ("main.py"). nullptr: another label.
const Language* labelled_language(std::string_view label);

// For messages: which names there are.
std::string language_names();

}  // namespace troupe::actors
