#include "actors/verifier/code/language.h"

#include <algorithm>

namespace troupe::actors {
namespace {

constexpr size_t kNameBytesMax = 100;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_word_part(char c) { return is_letter(c) || c == '+' || c == '#'; }

struct Spelling {
  std::string word{};     // In lower case.
  std::string version{};  // Digits, and letters as in "1z".
  std::string_view rest{};
};

// "GNU C++17 (64)" is the word "c++", the version "17" and the rest " (64)".
Spelling split(std::string_view text) {
  constexpr std::string_view kMakers[] = {"gnu", "ms", "ansi", "iso"};
  Spelling spelling;
  size_t at = 0;
  const auto skip = [&](auto&& is_skipped) {
    while (at < text.size() && is_skipped(text[at])) ++at;
  };
  do {
    spelling.word.clear();
    skip([](char c) { return !is_word_part(c) && !is_digit(c); });
    for (; at < text.size() && is_word_part(text[at]); ++at) spelling.word += lower(text[at]);
  } while (std::count(std::begin(kMakers), std::end(kMakers), spelling.word) != 0);
  const size_t word_end = at;
  skip([](char c) { return c == ' ' || c == '-' || c == '_' || c == '.' || c == '('; });
  if (at < text.size() && is_digit(text[at])) {
    for (; at < text.size() && (is_digit(text[at]) || is_letter(text[at])); ++at) {
      spelling.version += lower(text[at]);
    }
  } else {
    at = word_end;
  }
  spelling.rest = text.substr(at);
  return spelling;
}

const Language* find(const Spelling& spelling) {
  for (const Language& language : languages()) {
    if (std::count(language.words.begin(), language.words.end(), spelling.word) == 0) continue;
    const bool is_version = spelling.version.empty() ||
                            language.versions.find(spelling.version[0]) != std::string_view::npos;
    return is_version ? &language : nullptr;
  }
  return nullptr;
}

// "3.8.2", "-64" and "(CPython)" say nothing more; "python and c++" does.
bool has_more_words(std::string_view rest) {
  size_t depth = 0;
  for (const char c : rest) {
    if (c == '(') ++depth;
    if (c == ')' && depth > 0) --depth;
    if (depth == 0 && is_word_part(c)) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> python_command(std::string_view program) {
  // Isolated but for the environment, which is the box's own: it fixes the seed of string hashes,
  // so that the order of sets is a function of the program.
  return {"/usr/bin/python3", "-P", "-s", "-S", "-B", std::string(program)};
}

std::span<const Language> languages() {
  static const std::vector<Language> table = {
      {.name = "python",
       .words = {"python", "py", "pypy", "cpython"},
       .versions = "3",
       .toolchain = "python",
       .source = "solution.py",
       .run = python_command("/box/program.py"),
       .has_functions = true},
      {.name = "cpp",
       .words = {"cpp", "c++", "cc", "cxx", "g++", "gnu++", "clang++", "cplusplus"},
       .versions = "0123456789",
       .toolchain = "cpp",
       .source = "solution.cpp",
       .compile_script = "g++ -std=gnu++20 -O2 -w -o /tmp/program /box/solution.cpp >&2 && "
                         "cat /tmp/program",
       .run = {"/box/program"}},
      {.name = "c",
       .words = {"c", "gcc"},
       .versions = "0123456789",
       .toolchain = "cpp",
       .source = "solution.c",
       .compile_script = "gcc -std=gnu17 -O2 -w -o /tmp/program /box/solution.c -lm >&2 && "
                         "cat /tmp/program",
       .run = {"/box/program"}},
  };
  return table;
}

const Language* find_language(std::string_view name) {
  if (name.size() > kNameBytesMax) return nullptr;
  const Spelling spelling = split(name);
  return has_more_words(spelling.rest) ? nullptr : find(spelling);
}

const Language* labelled_language(std::string_view label) {
  label = label.substr(0, kNameBytesMax);
  const Spelling spelling = split(label);
  if (const Language* language = find(spelling)) {
    const std::string_view rest = spelling.rest;
    // A "python-repl" is a conversation, and "c/c++" is no choice.
    const bool goes_on =
        rest.size() > 1 && std::string_view("-_/").find(rest[0]) != rest.npos && is_letter(rest[1]);
    return goes_on ? nullptr : language;
  }
  const std::string_view first = label.substr(0, label.find_first_of(" \t\r,}"));
  const size_t point = first.rfind('.');
  if (point == first.npos || point == 0 || !is_letter(first[0])) return nullptr;
  const std::string_view ending = first.substr(point + 1);
  if (std::any_of(ending.begin(), ending.end(), [](char c) { return !is_word_part(c); })) return {};
  return find(split(ending));
}

std::string language_names() {
  std::string names;
  for (const Language& language : languages()) {
    names += (names.empty() ? "" : ", ") + std::string(language.name);
  }
  return names + " (or another of their usual names, such as Python 3, PyPy3, C++17, g++)";
}

}  // namespace troupe::actors
