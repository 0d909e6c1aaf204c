#include "actors/verifier/math/gold.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/choice.h"
#include "actors/verifier/math/extract.h"
#include "actors/verifier/math/math_verdict.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

// Nothing to be read: only brackets and separators.
bool is_blank(const std::vector<Token>& tokens) {
  return std::all_of(tokens.begin(), tokens.end(), [](const Token& token) {
    const bool is_brace =
        (token.kind == Kind::kOpen || token.kind == Kind::kClose) && token.detail == '{';
    return is_brace || token.kind == Kind::kComma || token.kind == Kind::kSemicolon;
  });
}

// Words of any language with what stands between words: no formula.
bool is_text(const std::vector<Token>& tokens) {
  bool has_word = false;
  int depth = 0;
  for (const Token& token : tokens) {
    const bool is_foreign = token.kind == Kind::kUnknown && !token.text.empty() &&
                            static_cast<unsigned char>(token.text[0]) >= 0x80;
    const bool is_mark = token.kind == Kind::kUnknown && token.text == ".";
    switch (token.kind) {
      case Kind::kWord:
        has_word = true;
        break;
      case Kind::kOpen:
        ++depth;
        break;
      case Kind::kClose:
        if (--depth < 0) return false;
        break;
      case Kind::kLetter:
      case Kind::kNumber:
      case Kind::kComma:
      case Kind::kSemicolon:
      case Kind::kColon:
      case Kind::kOr:
      case Kind::kAnd:
      case Kind::kMinus:
      case Kind::kPrime:
      case Kind::kBang:
      case Kind::kCurrency:
      case Kind::kPercent:
        break;
      default:
        if (!is_foreign && !is_mark) return false;
        has_word = has_word || is_foreign;
    }
  }
  return has_word && depth == 0;
}

// 2023-01-05 is no difference.
bool is_date(const std::vector<Token>& tokens) {
  if (tokens.size() != 5) return false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Kind kind = tokens[i].kind;
    const bool is_separator = kind == Kind::kMinus || kind == Kind::kDivide;
    if (i % 2 == 0 ? kind != Kind::kNumber : !is_separator) return false;
  }
  return true;
}

bool is_choice(const std::vector<Token>& tokens) {
  return choice_letter(tokens) != 0 || choice_set(tokens).has_value();
}

bool is_balanced(const std::vector<Token>& tokens) {
  int depth = 0;
  for (const Token& token : tokens) {
    if (token.kind == Kind::kOpen && token.detail == '{') ++depth;
    if (token.kind == Kind::kClose && token.detail == '{' && --depth < 0) return false;
  }
  return depth == 0;
}

// Nothing for what is blank, cut off or too long.
std::optional<Gold> spelling_of(std::string_view text) {
  const auto boxed = boxed_part(text);
  if (boxed) text = boxed->text;
  if (text.size() > kAnswerBytesMax) return {};
  Gold gold{std::string(text), parse_answer(text), boxed ? boxed->words : ""};
  const std::vector<Token>& tokens = gold.parsed.tokens;
  if (is_blank(tokens) || (!gold.parsed.is_math && !is_balanced(tokens))) return {};
  return gold;
}

bool is_readable(const ParsedAnswer& answer) {
  return answer.is_math || is_text(answer.tokens) || is_date(answer.tokens) ||
         is_choice(answer.meant);
}

// Reads the JSON text of a list of texts and nothing else.
class TextListReader {
 public:
  explicit TextListReader(std::string_view json) : json_(trimmed(json)) {}

  // Nothing for anything that is no such list, or an empty one.
  std::optional<std::vector<std::string>> run() {
    std::vector<std::string> texts;
    if (!take('[')) return {};
    do {
      auto text = read_text();
      if (!text) return {};
      texts.push_back(std::move(*text));
    } while (take(','));
    if (!take(']') || at_ != json_.size()) return {};
    return texts;
  }

 private:
  void skip_spaces() {
    while (at_ < json_.size() && is_space(json_[at_])) ++at_;
  }
  bool take(char c) {
    skip_spaces();
    if (at_ >= json_.size() || json_[at_] != c) return false;
    ++at_;
    skip_spaces();
    return true;
  }

  std::optional<std::string> read_text() {
    if (at_ >= json_.size() || json_[at_] != '"') return {};
    std::string text;
    for (++at_; at_ < json_.size(); ++at_) {
      const char c = json_[at_];
      if (c == '"') {
        ++at_;
        return text;
      }
      if (c != '\\') {
        text += c;
        continue;
      }
      if (++at_ >= json_.size() || !escaped(text)) return {};
    }
    return {};
  }

  bool escaped(std::string& text) {
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    if (json_[at_] == 'u') return code_point(text);
    const size_t which = kEscapes.find(json_[at_]);
    if (which == kEscapes.npos) return false;
    text += kMeant[which];
    return true;
  }

  std::optional<unsigned> hex4() {
    unsigned code = 0;
    for (int i = 0; i < 4; ++i) {
      if (++at_ >= json_.size()) return {};
      const char c = to_lower(json_[at_]);
      const bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f');
      if (!is_hex) return {};
      code = code * 16 + static_cast<unsigned>(is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return code;
  }

  bool code_point(std::string& text) {
    auto code = hex4();
    if (!code) return false;
    const bool is_high = *code >= 0xD800 && *code < 0xDC00;
    if (is_high) {
      if (json_.substr(at_ + 1, 2) != "\\u") return false;
      at_ += 2;
      const auto low = hex4();
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
      code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
    } else if (*code >= 0xDC00 && *code <= 0xDFFF) {
      return false;
    }
    append_utf8(text, *code);
    return true;
  }

  static void append_utf8(std::string& text, unsigned code) {
    const auto tail = [&](int shift) {
      text += static_cast<char>(0x80 | ((code >> shift) & 0x3F));
    };
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += static_cast<char>(0xC0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      text += static_cast<char>(0xE0 | code >> 12);
      tail(6);
      tail(0);
    } else {
      text += static_cast<char>(0xF0 | code >> 18);
      tail(12);
      tail(6);
      tail(0);
    }
  }

  std::string_view json_;
  size_t at_ = 0;
};

std::string fault_of(std::string_view text, bool has_spelling) {
  if (has_spelling) return "the gold answer is neither words nor mathematics that can be read";
  return text.size() > kAnswerBytesMax ? "the gold answer is too long"
                                       : "the gold answer is empty or incomplete";
}

}  // namespace

ReadGold read_gold(std::string_view text) {
  const auto texts = TextListReader(text).run();
  if (!texts) {
    auto gold = spelling_of(text);
    ReadGold read;
    if (gold && is_readable(gold->parsed)) {
      read.alternatives.push_back(std::move(*gold));
    } else {
      read.fault = fault_of(text, gold.has_value());
      read.spelling = std::move(gold);
    }
    return read;
  }
  if (texts->size() > kAlternativesMax) {
    return {.fault = fmt::format("the gold answer lists {} alternatives, more than {}",
                                 texts->size(), kAlternativesMax)};
  }
  ReadGold read;
  for (const std::string& each : *texts) {
    auto gold = spelling_of(each);
    if (gold && is_readable(gold->parsed)) read.alternatives.push_back(std::move(*gold));
  }
  if (read.alternatives.empty()) {
    read.fault = "none of the alternatives that the gold answer lists can be read";
  }
  return read;
}

}  // namespace troupe::actors
