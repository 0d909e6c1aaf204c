#include "actors/verifier/math/math_verdict.h"

#include <flint/flint.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/choice.h"
#include "actors/verifier/math/compare.h"
#include "actors/verifier/math/extract.h"
#include "actors/verifier/math/measure.h"
#include "actors/verifier/math/parser.h"
#include "actors/verifier/math/statement.h"
#include "actors/verifier/printable.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

constexpr size_t kShownBytesMax = 40;

// FLINT keeps constants and memory pools per thread.
struct ThreadCaches {
  ThreadCaches() = default;
  ThreadCaches(const ThreadCaches&) = delete;
  ThreadCaches& operator=(const ThreadCaches&) = delete;
  ~ThreadCaches() { flint_cleanup(); }
};

// The names and words of a text, without any mathematics between them.
bool is_words(const std::vector<Token>& tokens) {
  bool has_word = false;
  for (const Token& token : tokens) {
    const bool is_filler = token.kind == Kind::kLetter || token.kind == Kind::kOr ||
                           token.kind == Kind::kAnd || token.kind == Kind::kComma;
    if (token.kind != Kind::kWord && !is_filler) return false;
    has_word = has_word || token.kind == Kind::kWord;
  }
  return has_word;
}

bool is_balanced(const std::vector<Token>& tokens) {
  int depth = 0;
  for (const Token& token : tokens) {
    if (token.kind == Kind::kOpen && token.detail == '{') ++depth;
    if (token.kind == Kind::kClose && token.detail == '{' && --depth < 0) return false;
  }
  return depth == 0;
}

// Nothing to be read: only brackets and separators.
bool is_blank(const std::vector<Token>& tokens) {
  return std::all_of(tokens.begin(), tokens.end(), [](const Token& token) {
    const bool is_brace =
        (token.kind == Kind::kOpen || token.kind == Kind::kClose) && token.detail == '{';
    return is_brace || token.kind == Kind::kComma || token.kind == Kind::kSemicolon;
  });
}

bool begins_with_relation(const std::vector<Token>& tokens) {
  return !tokens.empty() && tokens[0].kind == Kind::kRelation;
}

struct Gold {
  std::string text{};
  ParsedAnswer parsed{};
  std::string words{};  // Say what each of its values is.
};

// A list with a named value in it.
bool has_names(const Gold& gold) {
  const Term term = gold.parsed.term();
  for (size_t i = 0; gold.parsed.is_math && i < term.num_children(); ++i) {
    if (is_relation(term.child(i))) return true;
  }
  return false;
}

// Whether boxes that words join may be the gold's values: what the words say of each is not read.
bool may_be_joined(const JoinedBoxes& joined, const Gold& gold) {
  if (!gold.words.empty()) return joined.words == gold.words;
  return joined.is_named || !has_names(gold);
}

// Nothing when the reference answer cannot be read. A solution text counts by its box.
std::optional<Gold> read_gold(std::string_view text) {
  const auto boxed = boxed_part(text);
  if (boxed) text = boxed->text;
  if (text.size() > kAnswerBytesMax) return {};
  Gold gold{std::string(text), parse_answer(text), boxed ? boxed->words : ""};
  const std::vector<Token>& tokens = gold.parsed.tokens;
  if (is_blank(tokens) || (!gold.parsed.is_math && !is_balanced(tokens))) return {};
  return gold;
}

// 1,234 was read as one number; where the gold has several values it may be two.
bool may_be_list(const ParsedAnswer& gold, const ParsedAnswer& candidate, std::string_view text) {
  if (!gold.is_math || text.find(',') == text.npos) return false;
  if (candidate.is_math && is_collection(candidate.term())) return false;
  return is_collection(gold.term()) || gold.term().kind() == NodeKind::kTuple;
}

// 1000,99 and 0,111: one comma between digits that separates no thousands, however they are
// grouped. With one digit behind it, as in 1,2, it is more likely to separate two values.
bool may_have_decimal_comma(std::string_view text) {
  const size_t comma = text.find(',');
  if (comma == text.npos || text.find_first_of(",.;", comma + 1) != text.npos) return false;
  size_t begin = comma;
  while (begin > 0 && is_digit(text[begin - 1])) --begin;
  size_t end = comma + 1;
  while (end < text.size() && is_digit(text[end])) ++end;
  const std::string_view whole = text.substr(begin, comma - begin);
  const size_t num_decimals = end - comma - 1;
  if (whole.empty() || num_decimals < 2) return false;
  if (whole.size() > 1 && whole[0] == '0') return false;
  return num_decimals % 3 != 0 || whole == "0";
}

bool is_plain_list(const ParsedAnswer& answer) {
  return answer.is_math && answer.term().kind() == NodeKind::kList &&
         answer.term().num_children() == 2;
}

// One value, whatever its unit.
bool is_single(const ParsedAnswer& answer) {
  return answer.is_math && (is_scalar(answer.term()) || is_measured(answer.term()));
}

// 1.25 for 1,25: the same digits. Other decimals of that value are no reason to doubt that a list
// is meant.
bool is_same_decimal(const ParsedAnswer& decimal, std::string_view with_comma) {
  if (!decimal.is_math || decimal.tokens.size() != 1) return false;
  std::string text(trimmed(with_comma));
  std::replace(text.begin(), text.end(), ',', '.');
  return decimal.tokens[0].kind == Kind::kNumber && decimal.tokens[0].text == text;
}

class Judge {
 public:
  Judge(const Gold& gold, std::string_view candidate, Fuel& fuel)
      : gold_(gold), candidate_(candidate), fuel_(fuel) {}

  MathVerdict run() {
    if (candidate_.size() > kAnswerBytesMax) {
      return verdict(VerdictKind::kUndecided,
                     fmt::format("the answer is longer than {} bytes", kAnswerBytesMax));
    }
    ParsedAnswer said = parse_answer(candidate_);
    const ParsedAnswer& wanted = gold_.parsed;
    if (is_blank(said.tokens)) return verdict(VerdictKind::kNoAnswer, "the answer is empty");
    if (begins_with_relation(said.tokens) && !begins_with_relation(wanted.tokens)) {
      return verdict(VerdictKind::kNoAnswer, "the answer is a relation and not a value");
    }
    if (is_same_tokens(said.tokens, wanted.tokens)) {
      return compared(VerdictKind::kEqual, "are written alike");
    }
    if (const char letter = choice_letter(wanted.tokens)) {
      if (const char chosen = choice_letter(said.tokens)) {
        return letter == chosen ? compared(VerdictKind::kEqual, "are the same choice")
                                : compared(VerdictKind::kDifferent, "are different choices");
      }
    }
    if (may_be_list(wanted, said, candidate_)) {
      said = parse_answer(candidate_, {.has_thousands = false});
    }
    // A comma is the gold's decimal point, or the other way round; otherwise it separates values.
    if (is_single(wanted) && is_plain_list(said) && may_have_decimal_comma(candidate_)) {
      said = parse_answer(candidate_, {.has_decimal_comma = true});
    } else if (is_plain_list(wanted) && may_have_decimal_comma(gold_.text) &&
               is_same_decimal(said, gold_.text)) {
      return compared(VerdictKind::kEqual, "have the same digits");
    }
    if (!wanted.is_math || !said.is_math) return compare_texts(said);
    return compare_math(said);
  }

 private:
  MathVerdict verdict(VerdictKind kind, std::string reason) const {
    return {kind, std::string(candidate_.substr(0, kAnswerBytesMax)), std::move(reason), 0};
  }
  MathVerdict compared(VerdictKind kind, std::string_view how) const {
    return verdict(kind, fmt::format("{} and the gold {} {}", printable(candidate_, kShownBytesMax),
                                     printable(gold_.text, kShownBytesMax), how));
  }

  MathVerdict compare_texts(const ParsedAnswer& said) const {
    const ParsedAnswer& wanted = gold_.parsed;
    if (wanted.is_math) {
      return is_words(said.tokens)
                 ? compared(VerdictKind::kDifferent, "are a text and a value")
                 : compared(VerdictKind::kUndecided,
                            "differ, and the answer could not be read as mathematics");
    }
    if (is_words(wanted.tokens) && (is_words(said.tokens) || said.is_math)) {
      return compared(VerdictKind::kDifferent, "are different texts");
    }
    return compared(VerdictKind::kUndecided, "differ as text and could not both be read");
  }

  MathVerdict compare_math(const ParsedAnswer& said) {
    Comparison comparison{
        .gold_text = gold_.text, .fuel = fuel_, .is_ordered = !gold_.words.empty()};
    const Outcome outcome = compare_terms(gold_.parsed.term(), said.term(), comparison);
    fuel_ = comparison.fuel;
    MathVerdict made;
    switch (outcome) {
      case Outcome::kSame:
        made = compared(VerdictKind::kEqual, "are equal");
        break;
      case Outcome::kOther:
        made = compared(VerdictKind::kDifferent, "are different");
        break;
      case Outcome::kUnknown:
        made =
            compared(VerdictKind::kUndecided, comparison.fuel.is_empty()
                                                  ? "could not be compared within the limit of work"
                                                  : "could be shown neither equal nor different");
        break;
    }
    made.fuel_spent = fuel_.spent();
    return made;
  }

  const Gold& gold_;
  std::string_view candidate_;
  Fuel& fuel_;
};

MathVerdict gold_unparseable(std::string_view gold) {
  return {VerdictKind::kGoldUnparseable, "",
          gold.size() > kAnswerBytesMax ? "the gold answer is too long"
                                        : "the gold answer is empty or incomplete",
          0};
}

void free_caches_at_thread_end() {
  thread_local ThreadCaches caches;
  static_cast<void>(caches);
}

}  // namespace

MathVerdict verify_math(std::string_view response, std::string_view gold) {
  free_caches_at_thread_end();
  const auto read = read_gold(gold);
  if (!read) return gold_unparseable(gold);
  const bool is_list = read->parsed.is_math && is_collection(read->parsed.term());
  const ExtractedAnswer answer = extract_answer(response, is_list);
  if (!answer.text) return {VerdictKind::kNoAnswer, "", answer.reason, 0};
  Fuel fuel;
  MathVerdict verdict = Judge(*read, *answer.text, fuel).run();
  const bool is_joined = answer.joined && may_be_joined(*answer.joined, *read);
  if (verdict.kind == VerdictKind::kEqual || !is_joined) return verdict;
  MathVerdict joined = Judge(*read, answer.joined->text, fuel).run();
  verdict.fuel_spent = fuel.spent();
  return joined.kind == VerdictKind::kEqual ? joined : verdict;
}

MathVerdict verify_math_answer(std::string_view candidate, std::string_view gold) {
  free_caches_at_thread_end();
  const auto read = read_gold(gold);
  if (!read) return gold_unparseable(gold);
  Fuel fuel;
  return Judge(*read, candidate, fuel).run();
}

bool is_readable_gold(std::string_view gold) { return read_gold(gold).has_value(); }

}  // namespace troupe::actors
