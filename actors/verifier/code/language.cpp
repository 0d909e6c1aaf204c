#include "actors/verifier/code/language.h"

#include "actors/verifier/code/runners.h"

namespace troupe::actors {

std::span<const Language> languages() {
  static const std::vector<Language> table = {
      {.name = "python",
       .labels = {"python", "py", "python3"},
       .toolchain = "python",
       .source = "solution.py",
       .run = python_command("program.py"),
       .has_functions = true},
      {.name = "cpp",
       .labels = {"cpp", "c++", "cc", "cxx"},
       .toolchain = "cpp",
       .source = "solution.cpp",
       .compile_script = "g++ -std=c++20 -O2 -w -o /tmp/program /box/solution.cpp >&2 && "
                         "cat /tmp/program",
       .run = {"/box/program"}},
      {.name = "c",
       .labels = {"c"},
       .toolchain = "cpp",
       .source = "solution.c",
       .compile_script = "gcc -std=c17 -O2 -w -o /tmp/program /box/solution.c -lm >&2 && "
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
