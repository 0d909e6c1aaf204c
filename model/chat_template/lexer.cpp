#include "model/chat_template/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "model/chat_template/text.h"

namespace troupe::model::chat_template {
namespace {

using Kind = Token::Kind;

constexpr size_t kTokensMax = 1 << 18;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Line ends as one byte each, and without the one at the end of the file.
std::string with_plain_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      size_t begin = source_.find('{', at_);
      while (begin != std::string::npos && !is_one_of(begin + 1, "%{#")) {
        begin = source_.find('{', begin + 1);
      }
      if (begin == std::string::npos) {
        add_text(at_, source_.size());
        break;
      }
      if (Status status = opened(begin); !status) return status.error();
      if (tokens_.size() > kTokensMax) return error("the template is too long");
    }
    add(Kind::kEnd);
    return std::move(tokens_);
  }

 private:
  Error error(std::string_view what) const { return error_at(line_, what); }

  char peek(size_t at) const { return at < source_.size() ? source_[at] : '\0'; }
  bool is_one_of(size_t at, std::string_view characters) const {
    return at < source_.size() && characters.find(source_[at]) != std::string_view::npos;
  }
  bool is_there(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }

  void advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                         source_.begin() + static_cast<ptrdiff_t>(to), '\n'));
    at_ = to;
  }

  void skip_white_space() { advance(at_ + leading_bytes(std::string_view(source_).substr(at_))); }

  Token& add(Kind kind, std::string text = {}) {
    tokens_.push_back({.kind = kind, .line = line_, .text = std::move(text)});
    return tokens_.back();
  }

  void add_text(size_t begin, size_t end) {
    if (begin < end) add(Kind::kText, source_.substr(begin, end - begin));
  }

  // Adds the text before a tag. A minus takes all white space before the tag; without a sign a
  // line's indentation before it goes.
  void text_before(size_t begin, char sign, bool is_print) {
    const std::string_view text = std::string_view(source_).substr(at_, begin - at_);
    size_t kept = text.size();
    if (sign == '-') {
      kept -= trailing_bytes(text);
    } else if (sign != '+' && !is_print) {
      const size_t newline = text.rfind('\n');
      const size_t line_begin = newline == text.npos ? 0 : newline + 1;
      if ((newline != text.npos || is_line_begin_) &&
          leading_bytes(text.substr(line_begin)) == text.size() - line_begin) {
        kept = line_begin;
      }
    }
    add_text(at_, at_ + kept);
    advance(begin);
  }

  // After a tag's end: a minus takes all white space, no sign one line's end.
  void after_end(size_t end, char sign, bool takes_newline) {
    advance(end);
    if (sign == '-') {
      skip_white_space();
    } else if (sign != '+' && takes_newline && peek(at_) == '\n') {
      advance(at_ + 1);
    }
    is_line_begin_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  // At an opening brace and its mate.
  Status opened(size_t begin) {
    const char sign = is_one_of(begin + 2, "-+") ? source_[begin + 2] : '\0';
    const char mate = source_[begin + 1];
    text_before(begin, sign, mate == '{');
    const size_t inside = begin + (sign == '\0' ? 2 : 3);
    if (mate == '#') return comment(inside);
    if (mate == '%') {
      if (const auto end = end_of_tag(inside, "raw", /*can_have_plus=*/false)) return raw(*end);
    }
    add(mate == '%' ? Kind::kTagBegin : Kind::kPrintBegin);
    advance(inside);
    return tag(mate == '%');
  }

  Status comment(size_t inside) {
    const size_t close = source_.find("#}", inside);
    if (close == std::string::npos) return error("a comment does not end; '#}' is missing");
    const char sign = close > inside && is_one_of(close - 1, "-+") ? source_[close - 1] : '\0';
    after_end(close + 2, sign, /*takes_newline=*/true);
    return ok();
  }

  struct TagEnd {
    size_t end = 0;
    char sign = '\0';
  };

  // Where the tag that consists of one name ends; nothing where another tag is there.
  std::optional<TagEnd> end_of_tag(size_t inside, std::string_view name, bool can_have_plus) const {
    const std::string_view rest = std::string_view(source_);
    size_t at = inside + leading_bytes(rest.substr(inside));
    if (!rest.substr(at).starts_with(name)) return std::nullopt;
    at += name.size();
    at += leading_bytes(rest.substr(at));
    const char sign = peek(at) == '-' || (can_have_plus && peek(at) == '+') ? source_[at] : '\0';
    if (sign != '\0') ++at;
    if (!rest.substr(at).starts_with("%}")) return std::nullopt;
    return TagEnd{at + 2, sign};
  }

  Status raw(const TagEnd& begin) {
    after_end(begin.end, begin.sign, /*takes_newline=*/false);
    for (size_t close = source_.find("{%", at_); close != std::string::npos;
         close = source_.find("{%", close + 1)) {
      const char sign = is_one_of(close + 2, "-+") ? source_[close + 2] : '\0';
      const auto end = end_of_tag(close + (sign == '\0' ? 2 : 3), "endraw", /*can_have_plus=*/true);
      if (!end) continue;
      text_before(close, sign, /*is_print=*/false);
      after_end(end->end, end->sign, /*takes_newline=*/true);
      return ok();
    }
    return error("the tag 'raw' does not end; '{% endraw %}' is missing");
  }

  // The words up to the tag's end.
  Status tag(bool is_block) {
    const char mate = is_block ? '%' : '}';
    const std::string close = {mate, '}'};
    std::string open;  // The brackets that are open.
    while (true) {
      skip_white_space();
      if (at_ >= source_.size()) return error("a tag does not end");
      const bool has_sign = peek(at_) == '-' || (is_block && peek(at_) == '+');
      const size_t end = at_ + (has_sign ? 1 : 0);
      if (open.empty() && source_.compare(end, 2, close) == 0) {
        add(is_block ? Kind::kTagEnd : Kind::kPrintEnd);
        after_end(end + 2, has_sign ? source_[at_] : '\0', is_block);
        return ok();
      }
      if (Status status = word(open); !status) return status;
      if (tokens_.size() > kTokensMax) return error("the template is too long");
    }
  }

  Status word(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return number();
    if (begins_name(c)) {
      size_t end = at_;
      while (end < source_.size() && (begins_name(source_[end]) || is_digit(source_[end]))) ++end;
      add(Kind::kName, source_.substr(at_, end - at_));
      advance(end);
      return ok();
    }
    if (c == '\'' || c == '"') return string(c);
    constexpr std::array<std::string_view, 26> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (std::string_view op : kOperators) {
      if (!is_there(op)) continue;
      if (Status status = bracket(op, open); !status) return status;
      add(Kind::kOperator, std::string(op));
      advance(at_ + op.size());
      return ok();
    }
    return error(fmt::format("the character {} has no meaning in a tag",
                             c > ' ' && c <= '~'
                                 ? fmt::format("'{}'", c)
                                 : fmt::format("0x{:02X}", static_cast<uint8_t>(c))));
  }

  Status bracket(std::string_view op, std::string& open) const {
    constexpr std::string_view kOpening = "([{";
    constexpr std::string_view kClosing = ")]}";
    if (op.size() != 1) return ok();
    if (kOpening.find(op) != kOpening.npos) open += op;
    const size_t which = kClosing.find(op);
    if (which == kClosing.npos) return ok();
    if (open.empty() || open.back() != kOpening[which]) {
      return error(fmt::format("'{}' closes nothing", op));
    }
    open.pop_back();
    return ok();
  }

  size_t digits_end(size_t at) const {
    while (is_digit(peek(at)) || (peek(at) == '_' && is_digit(peek(at + 1)))) ++at;
    return at;
  }

  Status number() {
    size_t end = digits_end(at_);
    bool is_float = false;
    if (peek(end) == '.' && is_digit(peek(end + 1))) {
      is_float = true;
      end = digits_end(end + 1);
    }
    if (is_one_of(end, "eE")) {
      const size_t sign = end + 1 + (is_one_of(end + 1, "+-") ? 1 : 0);
      if (is_digit(peek(sign))) {
        is_float = true;
        end = digits_end(sign);
      }
    }
    std::string text = source_.substr(at_, end - at_);
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    Token& token = add(is_float ? Kind::kFloat : Kind::kInteger, text);
    const char* last = text.data() + text.size();
    const auto read = is_float ? std::from_chars(text.data(), last, token.number)
                               : std::from_chars(text.data(), last, token.integer);
    const bool is_octal = !is_float && text.size() > 1 && text[0] == '0' && token.integer != 0;
    if (read.ec != std::errc() || read.ptr != last || is_octal || begins_name(peek(end))) {
      return error(fmt::format("the number {} cannot be read", text));
    }
    advance(end);
    return ok();
  }

  // The escapes are Python's; an unknown one is two characters.
  Status string(char quote) {
    std::string text;
    size_t at = at_ + 1;
    for (; at < source_.size() && source_[at] != quote; ++at) {
      if (source_[at] != '\\') {
        text += source_[at];
        continue;
      }
      ++at;
      if (at >= source_.size()) break;
      if (!escape(at, text)) return error("an escape in a string cannot be read");
    }
    if (at >= source_.size()) return error("a string does not end");
    add(Kind::kString, std::move(text));
    advance(at + 1);
    return ok();
  }

  // `at` is behind the backslash, and then at the escape's last character.
  bool escape(size_t& at, std::string& text) const {
    constexpr std::string_view kFrom = "\\'\"abfnrtv";
    constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    const char c = source_[at];
    if (c == '\n') return true;
    if (const size_t which = kFrom.find(c); which != kFrom.npos) {
      text += kTo[which];
      return true;
    }
    if (c >= '0' && c <= '7') {
      int32_t point = 0;
      size_t end = at;
      while (end < at + 3 && peek(end) >= '0' && peek(end) <= '7') {
        point = point * 8 + (source_[end++] - '0');
      }
      at = end - 1;
      text += utf8(point);
      return true;
    }
    const size_t num_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == 'N') return false;
    if (num_digits == 0) {
      text += '\\';
      text += c;
      return true;
    }
    uint32_t point = 0;
    if (at + num_digits >= source_.size()) return false;
    const char* begin = source_.data() + at + 1;
    const auto read = std::from_chars(begin, begin + num_digits, point, 16);
    if (read.ptr != begin + num_digits || point > 0x10FFFF || (point >> 11) == 0x1B) return false;
    text += utf8(static_cast<int32_t>(point));
    at += num_digits;
    return true;
  }

  const std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool is_line_begin_ = true;
  std::vector<Token> tokens_{};
};

}  // namespace

Error error_at(int line, std::string_view what) {
  // Names and texts of the template may be in it, and a message is one line.
  std::string shown(what.substr(0, 400));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return static_cast<uint8_t>(c) < ' '; }, ' ');
  return invalid_argument(fmt::format("chat_template:{}: {}", line, shown));
}

Result<std::vector<Token>> tokens_of(std::string_view source) {
  return Lexer(with_plain_lines(source)).run();
}

}  // namespace troupe::model::chat_template
