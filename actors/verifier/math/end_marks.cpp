#include "actors/verifier/math/end_marks.h"

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

// The stop may stand inside the last $ or \).
std::string_view without_stop(std::string_view text) {
  std::string_view inside = text;
  while (inside.ends_with('$') && !inside.ends_with("\\$")) {
    inside = trimmed(inside.substr(0, inside.size() - 1));
  }
  for (std::string_view close : {"\\)", "\\]"}) {
    if (inside.ends_with(close)) inside = trimmed(inside.substr(0, inside.size() - 2));
  }
  const bool is_stop =
      inside.ends_with('.') && !inside.ends_with("..") && !inside.ends_with("\\right.");
  return is_stop ? trimmed(inside.substr(0, inside.size() - 1)) : text;
}

// Without one mark on each side, where it stands nowhere else.
std::string_view without_mark(std::string_view text, std::string_view mark) {
  const bool is_marked =
      text.size() > 2 * mark.size() && text.starts_with(mark) && text.ends_with(mark);
  if (!is_marked) return text;
  const std::string_view inside = text.substr(mark.size(), text.size() - 2 * mark.size());
  return inside.find(mark) == inside.npos ? trimmed(inside) : text;
}

}  // namespace

std::string_view without_end_marks(std::string_view text) {
  constexpr int kLayersMax = 4;
  for (int i = 0; i < kLayersMax; ++i) {
    text = without_stop(trimmed(text));
    for (std::string_view mark : {"**", "__", "*", "`"}) text = without_mark(text, mark);
  }
  return text;
}

}  // namespace troupe::actors
