// The small vocabularies of tests/model/golden/tokenizers, and the lines that they were compared
// on.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace troupe::tests {

inline const std::vector<std::string>& vocabulary_families() {
  static const std::vector<std::string> names = {"gpt2",  "smollm2",     "llama3",
                                                 "qwen2", "deepseek_v3", "llama2"};
  return names;
}

inline std::string golden_tokenizer_file(const std::string& name) {
  std::ifstream file(TROUPE_SOURCE_DIR "/tests/model/golden/tokenizers/" + name + ".json");
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline model::Tokenizer family_tokenizer(const std::string& name) {
  auto tokenizer = model::Tokenizer::parse(golden_tokenizer_file(name), name);
  if (!tokenizer) FAIL(tokenizer.error().message);
  return *tokenizer;
}

// Line i of make_tokenizers.py: splitmix64 from seed i chooses fragments.
inline std::string golden_line(uint64_t i, const std::vector<std::string>& fragments) {
  uint64_t state = i;
  const auto next = [&state] {
    state += 0x9E3779B97F4A7C15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  };
  std::string line;
  for (uint64_t count = 1 + next() % 12; count > 0; --count) {
    line += fragments[next() % fragments.size()];
    if (next() % 3 == 0) line += ' ';
  }
  return line;
}

inline const std::vector<std::string>& golden_lines() {
  static const std::vector<std::string> lines = [] {
    const auto fragments =
        nlohmann::json::parse(golden_tokenizer_file("fragments")).get<std::vector<std::string>>();
    std::vector<std::string> all;
    for (uint64_t i = 0; i < 10'000; ++i) all.push_back(golden_line(i, fragments));
    return all;
  }();
  return lines;
}

}  // namespace troupe::tests
