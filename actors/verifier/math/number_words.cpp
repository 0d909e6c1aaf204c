#include "actors/verifier/math/number_words.h"

#include <algorithm>
#include <iterator>

namespace troupe::actors {
namespace {

struct NumberWord {
  std::string_view word;
  int64_t value;
};

constexpr NumberWord kWords[] = {
    {"zero", 0},         {"one", 1},      {"two", 2},        {"three", 3},     {"four", 4},
    {"five", 5},         {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},
    {"ten", 10},         {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14},
    {"fifteen", 15},     {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19},
    {"twenty", 20},      {"thirty", 30},  {"forty", 40},     {"fifty", 50},    {"sixty", 60},
    {"seventy", 70},     {"eighty", 80},  {"ninety", 90},    {"hundred", 100}, {"thousand", 1000},
    {"million", 1000000}};

}  // namespace

std::optional<int64_t> number_in_words(std::string_view words) {
  constexpr int64_t kMax = 1'000'000'000;
  int64_t total = 0;
  int64_t part = 0;  // Below a thousand.
  int64_t last = 0;  // The word before.
  bool has_word = false;
  while (!words.empty()) {
    const size_t end = std::min(words.find_first_of(" -"), words.size());
    const std::string_view word = words.substr(0, end);
    words.remove_prefix(std::min(end + 1, words.size()));
    if (word.empty() || (word == "and" && last >= 100)) continue;
    const auto found = std::find_if(std::begin(kWords), std::end(kWords),
                                    [&](const NumberWord& one) { return one.word == word; });
    if (found == std::end(kWords)) return {};
    const int64_t value = found->value;
    if (value < 100) {
      // Twenty takes one to nine behind it, a hundred anything below.
      const bool follows_tens = last >= 20 && last < 100 && value > 0 && value < 10;
      const bool is_placed = !has_word || last >= 100 || follows_tens;
      if (!is_placed) return {};
      part += value;
    } else if (value == 100) {
      if (part == 0 || part >= 10 * 10) return {};
      part *= 100;
    } else {
      if (part == 0) return {};
      total += part * value;
      part = 0;
      if (total > kMax) return {};
    }
    last = value;
    has_word = true;
  }
  return has_word ? std::optional(total + part) : std::nullopt;
}

}  // namespace troupe::actors
