#include "actors/verifier/math/extraction.h"

#include <algorithm>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/extract.h"

namespace troupe::actors {
namespace {

// Where the digits that end before `end` begin, with points, commas and slashes among them.
size_t number_begin(std::string_view text, size_t end) {
  size_t begin = end;
  while (begin > 0) {
    const char c = text[begin - 1];
    const bool is_inside = std::string_view(".,/").find(c) != std::string_view::npos && begin > 1 &&
                           is_digit(text[begin - 2]);
    const bool is_point = c == '.';  // .5
    if (!is_digit(c) && !is_inside && !is_point) break;
    --begin;
    if (is_point && !is_inside) break;
  }
  return begin;
}

// "\frac{1}{" in front of the last number, whose fraction it is; else where the number begins.
size_t fraction_begin(std::string_view text, size_t begin) {
  constexpr size_t kBytesMax = 40;
  const std::string_view before = text.substr(0, begin);
  if (!before.ends_with("}{")) return begin;
  const size_t from = begin - std::min(begin, kBytesMax);
  const size_t command = before.substr(from).rfind("frac{");
  if (command == before.npos) return begin;
  const std::string_view above =
      before.substr(from + command + 5, before.size() - from - command - 7);
  const bool is_number = above.find_first_not_of("0123456789") == above.npos;
  const size_t slash = text.substr(0, from + command).rfind('\\');
  return is_number && slash != text.npos && from + command - slash <= 2 ? slash : begin;
}

}  // namespace

std::optional<Extraction> extraction_of(std::string_view name) {
  if (name == "marked") return Extraction::kMarked;
  if (name == "last_number") return Extraction::kLastNumber;
  return {};
}

std::optional<std::string_view> last_number(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && !is_digit(text[end - 1])) --end;
  if (end == 0) return {};
  size_t begin = number_begin(text, end);
  const size_t whole = fraction_begin(text, begin);
  if (whole < begin) {
    begin = whole;
    end = text.substr(end).starts_with('}') ? end + 1 : end;
  }
  // A minus, but not that of 7-5.
  const bool has_minus = begin > 0 && text[begin - 1] == '-';
  const bool is_sign =
      has_minus && (begin == 1 || (!is_digit(text[begin - 2]) && !is_letter(text[begin - 2]) &&
                                   text[begin - 2] != ')'));
  if (is_sign) --begin;
  for (const std::string_view percent : {"%", "\\%"}) {
    if (text.substr(end).starts_with(percent)) end += percent.size();
  }
  return text.substr(begin, end - begin);
}

MathVerdict verify_math(std::string_view response, std::string_view gold, Extraction extraction) {
  MathVerdict verdict = verify_math(response, gold);
  if (extraction == Extraction::kMarked || verdict.kind != VerdictKind::kNoAnswer) return verdict;
  const auto number = last_number(extract_answer(response, /*is_list=*/false).unmarked);
  return number ? verify_math_answer(*number, gold) : verdict;
}

}  // namespace troupe::actors
