#include "actors/verifier/math/math_verdict.h"

#include <flint/flint.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "actors/verifier/math/based.h"
#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/choice.h"
#include "actors/verifier/math/clock.h"
#include "actors/verifier/math/compare.h"
#include "actors/verifier/math/extract.h"
#include "actors/verifier/math/gold.h"
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

// The whole answer, or what a name stands for, is a number with a unit.
bool has_unit(const ParsedAnswer& answer) {
  if (!answer.is_math) return false;
  Term term = answer.term();
  if (is_relation(term)) term = term.child(term.num_children() - 1);
  return term.kind() == NodeKind::kQuantity;
}

// m/s, which is no quotient of variables behind a number.
bool has_unit_quotient(const std::vector<Token>& tokens) {
  for (size_t i = 1; i + 1 < tokens.size(); ++i) {
    if (tokens[i].kind != Kind::kDivide) continue;
    const auto is_unit = [](const Token& token) {
      return token.kind == Kind::kWord || (token.kind == Kind::kLetter && token.is_upright);
    };
    if (is_unit(tokens[i - 1]) && is_unit(tokens[i + 1])) return true;
  }
  return false;
}

// Beside a quantity "2 h 30 min" is no product, and beside one in several units "5 ft, 6 in" no
// list.
void read_measures(std::string_view gold, ParsedAnswer& wanted, std::string_view candidate,
                   ParsedAnswer& said) {
  const auto read = [](std::string_view text, ParsedAnswer& one, const ParsedAnswer& other) {
    if (one.is_compound || (!other.is_compound && !has_unit(other))) return;
    std::string without_commas(text);
    if (other.is_compound) std::replace(without_commas.begin(), without_commas.end(), ',', ' ');
    ParsedAnswer measure = parse_answer(without_commas, {.has_unit_letters = true});
    if (measure.is_math && measure.is_compound) one = std::move(measure);
  };
  read(gold, wanted, said);
  read(candidate, said, wanted);
  read(gold, wanted, said);
}

// What both sides are where letters may be units: 3 h is a product beside 3h and three hours beside
// 180 minutes.
void read_unit_letters(std::string_view gold, ParsedAnswer& wanted, std::string_view candidate,
                       ParsedAnswer& said) {
  read_measures(gold, wanted, candidate, said);
  const bool is_wanted = has_unit(wanted);
  const bool is_said = has_unit(said);
  if (is_wanted && is_said) return;
  constexpr TokenOptions kOptions{.has_unit_letters = true};
  ParsedAnswer gold_letters = parse_answer(gold, kOptions);
  ParsedAnswer said_letters = parse_answer(candidate, kOptions);
  if (is_wanted && !has_unit(gold_letters)) gold_letters = wanted;
  if (is_said && !has_unit(said_letters)) said_letters = said;
  const bool are_both = has_unit(gold_letters) && has_unit(said_letters);
  const bool is_clear = has_unit(gold_letters) && has_unit_quotient(gold_letters.meant);
  if (!are_both && !is_clear) return;
  wanted = std::move(gold_letters);
  if (has_unit(said_letters)) said = std::move(said_letters);
}

class Judge {
 public:
  Judge(const Gold& gold, std::string_view candidate, Fuel& fuel)
      : gold_(gold), wanted_(gold.parsed), candidate_(candidate), fuel_(fuel) {}

  MathVerdict run() {
    if (candidate_.size() > kAnswerBytesMax) {
      return verdict(VerdictKind::kUndecided,
                     fmt::format("the answer is longer than {} bytes", kAnswerBytesMax));
    }
    ParsedAnswer said = parse_answer(candidate_);
    if (is_blank(said.tokens)) return verdict(VerdictKind::kNoAnswer, "the answer is empty");
    if (begins_with_relation(said.meant) && !begins_with_relation(wanted_.meant)) {
      return verdict(VerdictKind::kNoAnswer, "the answer is a relation and not a value");
    }
    if (is_same_tokens(said.tokens, wanted_.tokens) || is_same_tokens(said.meant, wanted_.meant)) {
      return compared(VerdictKind::kEqual, "are written alike");
    }
    const bool is_based = wanted_.is_math && wanted_.term().kind() == NodeKind::kBased;
    if (is_based && is_based_text(wanted_.term(), candidate_)) {
      return compared(VerdictKind::kEqual, "have the same digits");
    }
    if (const auto is_same = is_same_clock_time(gold_.text, candidate_)) {
      return *is_same ? compared(VerdictKind::kEqual, "are the same time of day")
                      : compared(VerdictKind::kDifferent, "are different times of day");
    }
    if (const auto choice = compare_choices(said)) return *choice;
    if (may_be_list(wanted_, said, candidate_)) {
      said = parse_answer(candidate_, {.has_thousands = false});
    }
    // A comma is the gold's decimal point, or the other way round; otherwise it separates values.
    if (is_single(wanted_) && is_plain_list(said) && may_have_decimal_comma(candidate_)) {
      said = parse_answer(candidate_, {.has_decimal_comma = true});
    } else if (is_plain_list(wanted_) && may_have_decimal_comma(gold_.text) &&
               is_same_decimal(said, gold_.text)) {
      return compared(VerdictKind::kEqual, "have the same digits");
    }
    read_unit_letters(gold_.text, wanted_, candidate_, said);
    if (!wanted_.is_math || !said.is_math) return compare_texts(said);
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

  std::optional<MathVerdict> compare_choices(const ParsedAnswer& said) const {
    // "Option B is correct" names a choice as it stands.
    const auto letter_of = [](const ParsedAnswer& answer) {
      const char letter = choice_letter(answer.tokens);
      return letter != 0 ? letter : choice_letter(answer.meant);
    };
    if (const char letter = letter_of(wanted_)) {
      if (const char chosen = letter_of(said)) {
        return letter == chosen ? compared(VerdictKind::kEqual, "are the same choice")
                                : compared(VerdictKind::kDifferent, "are different choices");
      }
    }
    const auto wanted = choice_set(wanted_.meant);
    const auto chosen = wanted ? choice_set(said.meant) : std::nullopt;
    if (!chosen || (!wanted->is_explicit && !chosen->is_explicit)) return {};
    return *wanted == *chosen ? compared(VerdictKind::kEqual, "are the same choices")
                              : compared(VerdictKind::kDifferent, "are different choices");
  }

  MathVerdict compare_texts(const ParsedAnswer& said) const {
    if (wanted_.is_math) {
      return is_words(said.tokens)
                 ? compared(VerdictKind::kDifferent, "are a text and a value")
                 : compared(VerdictKind::kUndecided,
                            "differ, and the answer could not be read as mathematics");
    }
    if (is_words(wanted_.tokens) && (is_words(said.tokens) || said.is_math)) {
      return compared(VerdictKind::kDifferent, "are different texts");
    }
    return compared(VerdictKind::kUndecided, "differ as text and could not both be read");
  }

  MathVerdict compare_math(const ParsedAnswer& said) {
    // One unit may be left out, but no number stands for two.
    const auto is_bare = [](const ParsedAnswer& answer) {
      return is_scalar(answer.term()) && !is_measured(answer.term());
    };
    if ((wanted_.is_compound && is_bare(said)) || (said.is_compound && is_bare(wanted_))) {
      return compared(VerdictKind::kDifferent, "are different: one has no units");
    }
    Comparison comparison{
        .gold_text = gold_.text, .fuel = fuel_, .is_ordered = !gold_.words.empty()};
    const Outcome outcome = compare_terms(wanted_.term(), said.term(), comparison);
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
  ParsedAnswer wanted_;  // As it is read beside this candidate.
  std::string_view candidate_;
  Fuel& fuel_;
};

// How much a verdict says beside others about the same answer.
int rank(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::kEqual:
      return 3;
    case VerdictKind::kUndecided:
      return 2;
    case VerdictKind::kDifferent:
      return 1;
    default:
      return 0;
  }
}

// Equal to one alternative is equal; undecided beside one is undecided beside all others.
template <class JudgeOne>
MathVerdict judge_alternatives(std::string_view text, JudgeOne judge_one) {
  const ReadGold read = read_gold(text);
  Fuel fuel;
  if (read.alternatives.empty()) {
    if (read.spelling) {
      MathVerdict verdict = judge_one(*read.spelling, fuel);
      if (verdict.kind == VerdictKind::kEqual) return verdict;
    }
    return {VerdictKind::kGoldUnparseable, "", read.fault, 0};
  }
  std::optional<MathVerdict> best;
  for (const Gold& gold : read.alternatives) {
    MathVerdict verdict = judge_one(gold, fuel);
    if (!best || rank(verdict.kind) > rank(best->kind)) best = std::move(verdict);
    if (best->kind == VerdictKind::kEqual) break;
  }
  best->fuel_spent = fuel.spent();
  return *best;
}

void free_caches_at_thread_end() {
  thread_local ThreadCaches caches;
  static_cast<void>(caches);
}

}  // namespace

MathVerdict verify_math(std::string_view response, std::string_view gold) {
  free_caches_at_thread_end();
  // Of alternatives some may be lists and some not: each kind looks for its answer once.
  std::array<std::optional<ExtractedAnswer>, 2> extracted;
  return judge_alternatives(gold, [&](const Gold& one, Fuel& fuel) -> MathVerdict {
    const bool is_list = one.parsed.is_math && is_collection(one.parsed.term());
    std::optional<ExtractedAnswer>& answer = extracted[is_list ? 1 : 0];
    if (!answer) answer = extract_answer(response, is_list);
    if (!answer->text) return {VerdictKind::kNoAnswer, "", answer->reason, 0};
    MathVerdict verdict = Judge(one, *answer->text, fuel).run();
    const bool is_joined = answer->joined && may_be_joined(*answer->joined, one);
    if (verdict.kind == VerdictKind::kEqual || !is_joined) return verdict;
    MathVerdict joined = Judge(one, answer->joined->text, fuel).run();
    return joined.kind == VerdictKind::kEqual ? joined : verdict;
  });
}

MathVerdict verify_math_answer(std::string_view candidate, std::string_view gold) {
  free_caches_at_thread_end();
  return judge_alternatives(
      gold, [&](const Gold& one, Fuel& fuel) { return Judge(one, candidate, fuel).run(); });
}

bool is_readable_gold(std::string_view gold) { return !read_gold(gold).alternatives.empty(); }

}  // namespace troupe::actors
