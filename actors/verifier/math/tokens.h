// LaTeX and infix cut into tokens: one pass, no recursion, a closed list of commands. Typography
// (spacing, \left, dollar signs, text wrappers, Unicode look-alikes) is gone afterwards, so two
// answers with the same tokens are the same answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::actors {

enum class TokenKind : uint8_t {
  kNumber,    // text: digits, at most one point; "(36)" at the end repeats, "[36]" before dots
  kLetter,    // text: a variable's name
  kWord,      // text: lower case
  kFunction,  // detail: FunctionId
  kConstant,  // text: "pi", "infty", "e" or "i"
  kEmptySet,
  kPlus,
  kMinus,
  kTimes,  // detail: x for \times
  kDivide,
  kPlusMinus,
  kMinusPlus,
  kCaret,
  kUnderscore,
  kBang,
  kPrime,
  kPercent,
  kDegree,
  kCurrency,  // text: the unit's name
  kComma,
  kSemicolon,
  kOr,
  kAnd,
  kColon,
  kColumnBreak,
  kRowBreak,
  kOpen,      // detail: ( [ { S(et) | f(loor) c(eiling) <
  kClose,     // detail: the same letter for its partner
  kBar,       // | that opens or closes
  kRelation,  // detail: = < > l(e) g(e) n(e) i(n) ~
  kUnion,
  kIntersection,
  kSetMinus,
  kFraction,
  kRoot,
  kBinomial,
  kOver,
  kChoose,  // n \choose k
  kModulo,
  kArrow,   // An answer may follow "therefore".
  kSeries,  // detail: S(um), P(roduct) or I(ntegral)
  kWrap,    // text: overline, vec, ...
  kBegin,   // of a matrix; text: its environment
  kEnd,
  kUnknown,  // text: as written
};

struct Token {
  TokenKind kind = TokenKind::kUnknown;
  char detail = 0;
  bool has_space_before = false;
  bool is_upright = false;  // Inside \text and the like.
  std::string text{};
};

enum FunctionId : char {
  kSin = 1,
  kCos,
  kTan,
  kCot,
  kSec,
  kCsc,
  kArcsin,
  kArccos,
  kArctan,
  kArccot,
  kArcsec,
  kArccsc,
  kSinh,
  kCosh,
  kTanh,
  kArsinh,
  kArcosh,
  kArtanh,
  kLn,
  kLog,  // Base 10 unless one is given.
  kExp,
  kSqrt,
  kAbs,
  kFloor,
  kCeiling,
  kRe,
  kIm,
  // Of several arguments.
  kGcd,
  kLcm,
  kMaximum,
  kMinimum,
  kBinomialOf,
};

struct TokenOptions {
  // 1,234 is one number; otherwise two.
  bool has_thousands = true;
  // 1,25 is 1.25.
  bool has_decimal_comma = false;
  // 3 h are three hours; otherwise a product.
  bool has_unit_letters = false;
};

// At most as many tokens as bytes, give or take the synonyms of single characters.
std::vector<Token> tokenize(std::string_view text, TokenOptions options = {});

// True when both are the same but for braces around single tokens. Words are lower case by now.
bool is_same_tokens(const std::vector<Token>& a, const std::vector<Token>& b);

}  // namespace troupe::actors
