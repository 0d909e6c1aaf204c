#include "actors/verifier/math/clock.h"

#include <cstddef>
#include <string>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

struct ClockTime {
  int seconds = 0;  // Since midnight.
  bool has_half = false;
  // No half is said, and none is needed: 15:30.
  bool is_whole_day = false;
};

// Without typography, in lower case: "3:30\\text{ p.m.}" is 3:30pm.
std::string plain(std::string_view text) {
  constexpr size_t kBytesMax = 64;
  if (text.size() > kBytesMax) return {};
  std::string all;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      size_t end = i + 1;
      while (end < text.size() && is_letter(text[end])) ++end;
      const std::string_view name = text.substr(i + 1, end - i - 1);
      if (!name.empty() && name != "text" && name != "mathrm" && name != "textrm" &&
          name != "quad" && name != "rm") {
        return {};
      }
      i = name.empty() ? i + 1 : end - 1;  // \, and the like are spaces.
    } else if (c == '.' && (all.empty() || !is_letter(all.back()))) {
      return {};  // 1.2 pm is no time; the stops of p.m. are no more than p and m.
    } else if (!is_space(c) && std::string_view("{}$~.").find(c) == std::string_view::npos) {
      all += to_lower(c);
    }
  }
  return all;
}

// One or two digits at `at`, which moves behind.
std::optional<int> digits_at(std::string_view text, size_t& at, bool are_two) {
  const size_t begin = at;
  while (at < text.size() && at < begin + 2 && is_digit(text[at])) ++at;
  if (at == begin || (are_two && at != begin + 2)) return {};
  int value = 0;
  for (size_t i = begin; i < at; ++i) value = value * 10 + (text[i] - '0');
  return value;
}

std::optional<ClockTime> clock_time(std::string_view written) {
  const std::string text = plain(written);
  if (text == "noon" || text == "midnight") {
    return ClockTime{text == "noon" ? 12 * 3600 : 0, true, false};
  }
  size_t at = 0;
  const auto hour = digits_at(text, at, false);
  if (!hour || *hour > 23) return {};
  int seconds = 0;
  bool has_colon = false;
  for (int unit = 60; unit > 0 && at < text.size() && text[at] == ':'; unit /= 60) {
    has_colon = true;
    const auto part = digits_at(text, ++at, true);
    if (!part || *part > 59) return {};
    seconds += *part * unit;
  }
  const std::string_view half = std::string_view(text).substr(at);
  if (half.empty()) {
    if (!has_colon) return {};
    return ClockTime{*hour * 3600 + seconds, false, *hour > 12 || *hour == 0};
  }
  const bool is_exact = *hour == 12 && seconds == 0;
  const bool is_pm = half == "pm" || (half == "noon" && is_exact);
  const bool is_am = half == "am" || (half == "midnight" && is_exact);
  if ((!is_pm && !is_am) || *hour < 1 || *hour > 12) return {};
  return ClockTime{(*hour % 12 + (is_pm ? 12 : 0)) * 3600 + seconds, true, false};
}

}  // namespace

std::optional<bool> is_same_clock_time(std::string_view a, std::string_view b) {
  const auto one = clock_time(a);
  const auto other = one ? clock_time(b) : std::nullopt;
  if (!other || (!one->has_half && !other->has_half)) return {};
  const auto is_clear = [](const ClockTime& time) { return time.has_half || time.is_whole_day; };
  if (!is_clear(*one) || !is_clear(*other)) return {};
  return one->seconds == other->seconds;
}

}  // namespace troupe::actors
