#include "model/tokenizer/regex.h"

#include <fmt/format.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "schemas/check.h"

namespace troupe::model {
namespace {

constexpr size_t kPatternBytesMax = 16 << 10;
constexpr uint32_t kNestingMax = 32;
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kHeapLimitKb = 64 << 10;

// Unicode's White_Space, which is what \s means to Oniguruma. PCRE2's \s has U+180E too.
constexpr std::string_view kWhiteSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_punctuation(char c) { return c > ' ' && c < 0x7F && !is_digit(c) && !is_letter(c); }

// From Oniguruma's language, with the settings that `tokenizers` uses, to PCRE2's.
class Translation {
 public:
  explicit Translation(std::string_view pattern) : rest_(pattern) {}

  Result<std::string> run() {
    while (!rest_.empty() && refused_.empty()) {
      if (in_class_) {
        class_item();
      } else {
        item();
      }
    }
    if (refused_.empty() && in_class_) refused_ = "an open [";
    if (!refused_.empty()) {
      return invalid_argument(fmt::format("{} in a regular expression is not supported", refused_));
    }
    return std::move(out_);
  }

 private:
  char at(size_t i) const { return i < rest_.size() ? rest_[i] : '\0'; }

  void take(size_t count) {
    out_ += rest_.substr(0, count);
    rest_.remove_prefix(std::min(count, rest_.size()));
  }

  void replace(size_t count, std::string_view by) {
    out_ += by;
    rest_.remove_prefix(std::min(count, rest_.size()));
  }

  void item() {
    switch (at(0)) {
      case '\\':
        return escape();
      case '[':
        in_class_ = true;
        take(at(1) == '^' ? 2 : 1);
        class_begin_ = out_.size();
        if (at(0) == ']') refused_ = "an empty []";
        return;
      case '(':
        return group();
      case '{':
        return interval();
      default:
        return take(1);
    }
  }

  void group() {
    if (at(1) == '*') {
      refused_ = "(*";
      return;
    }
    if (at(1) != '?') return take(1);
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:"}) {
      if (rest_.starts_with(known)) return take(known.size());
    }
    refused_ = fmt::format("(?{}", printable(at(2)));
  }

  // {n}, {n,} and {n,m}; what follows them in the other language is another thing there.
  void interval() {
    size_t i = 1;
    while (is_digit(at(i))) ++i;
    const bool has_low = i > 1;
    if (at(i) == ',') {
      ++i;
      while (is_digit(at(i))) ++i;
    }
    if (!has_low || at(i) != '}' || at(i + 1) == '+' || at(i + 1) == '?') {
      refused_ = "this {";
      return;
    }
    take(i + 1);
  }

  void class_item() {
    switch (at(0)) {
      case '\\':
        return escape();
      case '[':
        refused_ = "[ inside [ ]";
        return;
      case '&':
        if (at(1) == '&') refused_ = "&&";
        return take(1);
      case ']':
        in_class_ = false;
        return take(1);
      default:
        return take(1);
    }
  }

  void escape() {
    const char c = at(1);
    if (is_punctuation(c)) return take(2);
    switch (c) {
      case 's':
      case 'S':
        return white_space(/*is_inverse=*/c == 'S');
      case 'd':
        return replace(2, "\\p{Nd}");
      case 'D':
        return replace(2, "\\P{Nd}");
      case 'v':
        return replace(2, "\\x0b");
      case 'r':
      case 'n':
      case 't':
      case 'f':
        return take(2);
      case 'p':
      case 'P':
        return property();
      case 'x':
      case 'u':
        return code_point();
      default:
        refused_ = fmt::format("\\{}", printable(c));
    }
  }

  void white_space(bool is_inverse) {
    if (!in_class_) return replace(2, fmt::format("[{}{}]", is_inverse ? "^" : "", kWhiteSpace));
    if (is_inverse) return replace(2, "\\P{White_Space}");
    // Beside a hyphen the list would become another range.
    if ((out_.back() == '-' && out_.size() > class_begin_ + 1) || (at(2) == '-' && at(3) != ']')) {
      refused_ = "a range with \\s";
      return;
    }
    replace(2, kWhiteSpace);
  }

  // A general category of one or two letters, or a script.
  void property() {
    const size_t end = rest_.find('}');
    const std::string_view name =
        at(2) == '{' && end != rest_.npos ? rest_.substr(3, end - 3) : std::string_view();
    bool is_name = !name.empty() && name.size() <= 32;
    for (char c : name) is_name = is_name && (is_letter(c) || c == '_');
    if (!is_name) {
      refused_ = fmt::format("this \\{}", at(1));
      return;
    }
    if (name.size() <= 2) return take(end + 1);
    replace(end + 1, fmt::format("\\{}{{sc:{}}}", at(1), name));
  }

  // \x{H...}, \xHH of ASCII, \uHHHH.
  void code_point() {
    const bool has_braces = at(1) == 'x' && at(2) == '{';
    const size_t begin = has_braces ? 3 : 2;
    size_t end = begin;
    while (is_hex(at(end)) && end - begin < (has_braces ? 6 : at(1) == 'x' ? 2 : 4)) ++end;
    const std::string_view digits = rest_.substr(begin, end - begin);
    const bool is_good = has_braces     ? !digits.empty() && at(end) == '}'
                         : at(1) == 'u' ? digits.size() == 4
                                        : digits.size() == 2 && digits[0] < '8';
    if (!is_good) {
      refused_ = fmt::format("this \\{}", at(1));
      return;
    }
    const std::string point = fmt::format("\\x{{{}}}", digits);
    replace(has_braces ? end + 1 : end, point);
  }

  static std::string printable(char c) {
    return c > ' ' && c < 0x7F ? std::string(1, c) : std::string("?");
  }

  std::string_view rest_;
  std::string out_{};
  std::string refused_{};
  bool in_class_ = false;
  size_t class_begin_ = 0;
};

struct CompileContext {
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  ~CompileContext() { pcre2_compile_context_free(context); }
};

}  // namespace

void Regex::FreeCode::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kPatternBytesMax) {
    return invalid_argument(fmt::format("a regular expression of {} bytes is longer than {}",
                                        pattern.size(), kPatternBytesMax));
  }
  auto translated = Translation(pattern).run();
  if (!translated) return translated.error();
  return compile_translated(*translated);
}

Result<Regex> Regex::literal(std::string_view text) {
  if (text.size() > kPatternBytesMax) {
    return invalid_argument("a text to split at is too long");
  }
  std::string pattern;
  for (char c : text) {
    if (is_punctuation(c)) pattern += '\\';
    pattern += c;
  }
  return compile_translated(pattern);
}

Result<Regex> Regex::compile_translated(const std::string& pattern) {
  const CompileContext settings;
  TROUPE_CHECK(settings.context != nullptr);
  pcre2_set_newline(settings.context, PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(settings.context, kNestingMax);
  int error = 0;
  size_t offset = 0;
  // In Oniguruma's ^ and $ are of lines.
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<const uint8_t*>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                    &offset, settings.context);
  if (code == nullptr) {
    std::array<uint8_t, 128> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return invalid_argument(fmt::format("a regular expression cannot be used: {}",
                                        reinterpret_cast<const char*>(text.data())));
  }
  Regex regex(code);
  // Where there is no just-in-time compiler the interpreter finds the same.
  static_cast<void>(pcre2_jit_compile(code, PCRE2_JIT_COMPLETE));
  return regex;
}

void RegexScanner::Free::operator()(pcre2_real_match_data_8* data) const {
  pcre2_match_data_free(data);
}
void RegexScanner::Free::operator()(pcre2_real_match_context_8* context) const {
  pcre2_match_context_free(context);
}

RegexScanner::RegexScanner(const Regex& regex)
    : code_(regex.code_.get()),
      data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)) {
  TROUPE_CHECK(data_ && context_);
  pcre2_set_match_limit(context_.get(), kMatchLimit);
  pcre2_set_heap_limit(context_.get(), kHeapLimitKb);
}

RegexScanner::Found RegexScanner::find(std::string_view text, size_t from, Match& match) {
  const auto* subject = reinterpret_cast<const uint8_t*>(text.data());
  int count = pcre2_match(code_, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data_.get(),
                          context_.get());
  // Compiled code has a small stack; the interpreter has the heap.
  if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
    count = pcre2_match(code_, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        data_.get(), context_.get());
  }
  if (count == PCRE2_ERROR_NOMATCH) return Found::kNone;
  if (count < 0) return Found::kGaveUp;
  const size_t* ends = pcre2_get_ovector_pointer(data_.get());
  match = {ends[0], ends[1]};
  return Found::kMatch;
}

}  // namespace troupe::model
