#include "actors/verifier/math/numeral.h"

#include <algorithm>
#include <utility>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

size_t count_digits(std::string_view text) {
  size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  return count;
}

size_t count_spaces(std::string_view text) {
  size_t count = 0;
  while (count < text.size() && is_space(text[count])) ++count;
  return count;
}

// How many of the last decimals repeat without end where dots follow them. A block must stand
// there twice and a single digit three times, because 1.644... is more likely a number that goes on
// otherwise; 0.33... has no other digits. 0: cannot be told.
size_t repeating_block(std::string_view whole, std::string_view decimals) {
  constexpr std::string_view kE = "71828";
  if (whole == "2" && decimals.starts_with(kE)) return 0;  // Its 1828 1828 does not go on.
  const size_t n = decimals.size();
  for (size_t length = 1; 2 * length <= n; ++length) {
    size_t covered = length;
    while (covered < n && decimals[n - 1 - covered] == decimals[n - 1 - covered + length]) {
      ++covered;
    }
    const size_t wanted = length > 1 || n == 2 ? 2 * length : 3;
    if (covered >= wanted) return length;
  }
  return 0;
}

// The length of the dots at the beginning of a text, where the text ends or something else than
// further values follows.
size_t dots_length(std::string_view text) {
  const size_t spaces = count_spaces(text);
  const std::string_view rest = text.substr(spaces);
  for (std::string_view dots :
       {"\\ldots", "\\dots", "\\cdots", "\\dotsc", "\\dotsb", "....", "..."}) {
    if (!rest.starts_with(dots)) continue;
    const size_t length = spaces + dots.size();
    const std::string_view after = text.substr(length);
    if (dots[0] == '\\' && !after.empty() && is_letter(after[0])) continue;
    const std::string_view next = trimmed(after);
    const bool goes_on = !next.empty() && (is_digit(next[0]) || next[0] == ',' || next[0] == '.');
    return goes_on ? 0 : length;
  }
  return 0;
}

class Reader {
 public:
  Reader(std::string_view text, TokenOptions options, NumeralPlace place)
      : text_(text), options_(options), place_(place) {}

  Numeral run() {
    std::string digits(text_.substr(0, count_digits(text_)));
    at_ = digits.size();
    if (options_.has_decimal_comma && !digits.empty() && peek() == ',' && is_digit(peek(1))) {
      ++at_;
      return {digits + "." + take_digits(), at_};
    }
    group_thousands(digits);
    bool has_stop = false;
    if (peek() == '.' && (is_digit(peek(1)) || repeating_at(at_ + 1).second > 0)) {
      decimals(digits);
    } else if (peek() == '.' && !rest(at_).starts_with("..")) {
      ++at_;  // 5. is 5; what follows a full stop is looked at for itself.
      has_stop = is_digit(digits.empty() ? '0' : digits.back()) && is_letter(peek());
    }
    if (!has_stop) exponent(digits);
    return {std::move(digits), at_, has_stop};
  }

 private:
  std::string_view rest(size_t from) const {
    return from < text_.size() ? text_.substr(from) : std::string_view();
  }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  std::string take_digits() {
    const std::string digits(rest(at_).substr(0, count_digits(rest(at_))));
    at_ += digits.size();
    return digits;
  }

  // The length of a separator of thousands at `at`, 0 if there is none.
  size_t separator_at(size_t at) const {
    size_t length = 0;
    for (std::string_view mark : {"{,}", "{, }", " {,}", " {, }", ",\\!", ",\\! ", "\\,", "{,}\\!",
                                  "\\!,\\!", "\\;", "\\:", "\\ ", "~"}) {
      if (rest(at).starts_with(mark)) length = std::max(length, mark.size());
    }
    const bool is_list = place_.is_in_list || !options_.has_thousands;
    const bool is_plain = rest(at).starts_with(',') || rest(at).starts_with(' ');
    if (length == 0 && !is_list && is_plain) length = 1;
    if (length == 0) return 0;
    return count_digits(rest(at + length)) == 3 ? length : 0;
  }

  void group_thousands(std::string& digits) {
    if (digits.empty() || digits.size() > 3 || digits[0] == '0') return;
    std::string grouped = digits;
    size_t end = at_;
    while (const size_t length = separator_at(end)) {
      grouped += rest(end + length).substr(0, 3);
      end += length + 3;
    }
    // 1,234,5 is a list of three.
    const bool is_list = rest(end).size() > 1 && rest(end)[0] == ',' && is_digit(rest(end)[1]);
    if (is_list || end == at_) return;
    digits = std::move(grouped);
    at_ = end;
  }

  void decimals(std::string& digits) {
    ++at_;
    const std::string fixed = take_digits();
    const auto [repeating, length] = repeating_at(at_);
    if (length > 0) {
      digits += "." + fixed + "(" + repeating + ")";
      at_ += length;
      return;
    }
    const size_t dots = dots_length(rest(at_));
    const size_t block = dots > 0 ? repeating_block(digits, fixed) : 0;
    if (block == 0) {
      digits += "." + fixed;
      return;
    }
    const size_t begin = fixed.size() - block;
    digits += "." + fixed.substr(0, begin) + "[" + fixed.substr(begin) + "]";
    at_ += dots;
  }

  // 1.5e-30. With a sign there must be two digits or a point before: 2e-1 is 2e minus 1. But nobody
  // writes 1e for e.
  void exponent(std::string& digits) {
    if ((peek() != 'e' && peek() != 'E') || digits.ends_with(')') || digits.ends_with(']')) {
      return;
    }
    size_t end = at_ + 1;
    const bool is_signed = end < text_.size() && (text_[end] == '+' || text_[end] == '-');
    if (is_signed) ++end;
    const size_t begin = end;
    end += count_digits(rest(end));
    const bool has_point = digits.find('.') != digits.npos;
    if (end == begin || (is_signed && !has_point && digits != "1" && end - begin < 2)) return;
    if (end < text_.size() && is_letter(text_[end])) return;
    digits += "e" + std::string(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end;
  }

  // What repeats after the decimals, as its digits and its length in the text: \overline{36},
  // \bar3, \dot{1}4285\dot{7}, (3).
  std::pair<std::string, size_t> repeating_at(size_t at) const {
    for (std::string_view mark : {"\\overline", "\\bar", "\\dot"}) {
      std::string_view after = rest(at);
      if (!after.starts_with(mark)) continue;
      size_t length = mark.size();
      std::string digits = marked_digits(after, length);
      if (digits.empty() || mark != "\\dot") return {digits, digits.empty() ? 0 : length};
      // From one dot to the other.
      const size_t num_between = count_digits(after.substr(length));
      if (!after.substr(length + num_between).starts_with(mark)) return {digits, length};
      digits += after.substr(length, num_between);
      length += num_between + mark.size();
      const std::string last = marked_digits(after, length);
      return {digits + last, last.empty() ? 0 : length};
    }
    return bracketed_digits(at);
  }

  // {36} or a single digit at `at`, which moves behind it.
  static std::string marked_digits(std::string_view text, size_t& at) {
    at += count_spaces(text.substr(at));
    const std::string_view inside = text.substr(at);
    if (!inside.starts_with('{')) {
      if (inside.empty() || !is_digit(inside[0])) return {};
      ++at;
      return std::string(inside.substr(0, 1));
    }
    const size_t count = count_digits(inside.substr(1));
    if (count == 0 || !inside.substr(1 + count).starts_with('}')) return {};
    at += count + 2;
    return std::string(inside.substr(1, count));
  }

  // 0.(3), and 0.1(6) where that is all of the answer: otherwise it is a product.
  std::pair<std::string, size_t> bracketed_digits(size_t at) const {
    const std::string_view after = rest(at);
    if (!after.starts_with('(')) return {{}, 0};
    const size_t count = count_digits(after.substr(1));
    if (count == 0 || !after.substr(1 + count).starts_with(')')) return {{}, 0};
    const bool is_after_point = at > 0 && text_[at - 1] == '.';
    const bool is_all =
        place_.is_first && text_.starts_with("0.") && trimmed(after.substr(count + 2)).empty();
    if (!is_after_point && !is_all) return {{}, 0};
    return {std::string(after.substr(1, count)), count + 2};
  }

  std::string_view text_;
  TokenOptions options_;
  NumeralPlace place_;
  size_t at_ = 0;
};

}  // namespace

Numeral read_numeral(std::string_view text, TokenOptions options, NumeralPlace place) {
  return Reader(text, options, place).run();
}

size_t ordinal_suffix(std::string_view digits, std::string_view after) {
  if (digits.empty() || count_digits(digits) != digits.size()) return 0;
  const char last = digits.back();
  const bool is_teen = digits.size() > 1 && digits[digits.size() - 2] == '1';
  const std::string suffix = is_teen       ? "th"
                             : last == '1' ? "st"
                             : last == '2' ? "nd"
                             : last == '3' ? "rd"
                                           : "th";
  for (const auto& [before, behind] : {std::pair<std::string_view, std::string_view>{"", ""},
                                       {"\\text{", "}"},
                                       {"\\textrm{", "}"},
                                       {"\\mathrm{", "}"},
                                       {"^{", "}"},
                                       {"^{\\text{", "}}"},
                                       {"^{\\textrm{", "}}"},
                                       {"^{\\mathrm{", "}}"},
                                       {"^{\\rm ", "}"},
                                       {"^\\text{", "}"},
                                       {"^\\textrm{", "}"},
                                       {"^\\mathrm{", "}"}}) {
    const std::string whole = std::string(before) + suffix + std::string(behind);
    if (!after.starts_with(whole)) continue;
    const bool goes_on = after.size() > whole.size() && is_letter(after[whole.size()]);
    return goes_on ? 0 : whole.size();
  }
  return 0;
}

}  // namespace troupe::actors
