#include "actors/verifier/code/language.h"

namespace troupe::actors {

std::vector<std::string> python_command(std::string_view program) {
  // Isolated but for the environment, which is the box's own: it fixes the seed of string hashes,
  // so that the order of sets is a function of the program.
  return {"/usr/bin/python3", "-P", "-s", "-S", "-B", std::string(program)};
}

std::span<const Language> languages() {
  static const std::vector<Language> table = {
      {.name = "python",
       .labels = {"python", "py"},
       .toolchain = "python",
       .source = "solution.py",
       .run = python_command("/box/program.py"),
       .has_functions = true},
      {.name = "cpp",
       .labels = {"cpp", "c++", "cc", "cxx"},
       .toolchain = "cpp",
       .source = "solution.cpp",
       .compile_script = "g++ -std=gnu++20 -O2 -w -o /tmp/program /box/solution.cpp >&2 && "
                         "cat /tmp/program",
       .run = {"/box/program"}},
      {.name = "c",
       .labels = {"c"},
       .toolchain = "cpp",
       .source = "solution.c",
       .compile_script = "gcc -std=gnu17 -O2 -w -o /tmp/program /box/solution.c -lm >&2 && "
                         "cat /tmp/program",
       .run = {"/box/program"}},
  };
  return table;
}

const Language* find_language(std::string_view name) {
  for (const Language& language : languages()) {
    if (language.name == name) return &language;
  }
  return nullptr;
}

}  // namespace troupe::actors
