#include "actors/verifier/math/math_verdict.h"

#include <flint/flint.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "actors/verifier/math/choice.h"
#include "actors/verifier/math/compare.h"
#include "actors/verifier/math/extract.h"
#include "actors/verifier/math/parser.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

// FLINT keeps constants and memory pools per thread.
struct ThreadCaches {
  ThreadCaches() = default;
  ThreadCaches(const ThreadCaches&) = delete;
  ThreadCaches& operator=(const ThreadCaches&) = delete;
  ~ThreadCaches() { flint_cleanup(); }
};

// The beginning of a text, safe to show on a terminal.
std::string shown(std::string_view text) {
  constexpr size_t kShownBytesMax = 40;
  std::string shown(text.substr(0, kShownBytesMax));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return text.size() > kShownBytesMax ? shown + "..." : shown;
}

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
};

// Nothing when the reference answer cannot be read. A solution text counts by its box.
std::optional<Gold> read_gold(std::string_view text) {
  const auto boxed = boxed_part(text);
  if (boxed) text = *boxed;
  if (text.size() > kAnswerBytesMax) return {};
  Gold gold{std::string(text), parse_answer(text)};
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

class Judge {
 public:
  Judge(const Gold& gold, std::string_view candidate) : gold_(gold), candidate_(candidate) {}

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
    if (!wanted.is_math || !said.is_math) return compare_texts(said);
    return compare_math(said);
  }

 private:
  MathVerdict verdict(VerdictKind kind, std::string reason) const {
    return {kind, std::string(candidate_.substr(0, kAnswerBytesMax)), std::move(reason), 0};
  }
  MathVerdict compared(VerdictKind kind, std::string_view how) const {
    return verdict(kind,
                   fmt::format("{} and the gold {} {}", shown(candidate_), shown(gold_.text), how));
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

  MathVerdict compare_math(const ParsedAnswer& said) const {
    Comparison comparison{.gold_text = gold_.text};
    const Outcome outcome = compare_terms(gold_.parsed.term(), said.term(), comparison);
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
    made.fuel_spent = comparison.fuel.spent();
    return made;
  }

  const Gold& gold_;
  std::string_view candidate_;
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
  return Judge(*read, *answer.text).run();
}

MathVerdict verify_math_answer(std::string_view candidate, std::string_view gold) {
  free_caches_at_thread_end();
  const auto read = read_gold(gold);
  if (!read) return gold_unparseable(gold);
  return Judge(*read, candidate).run();
}

bool is_readable_gold(std::string_view gold) { return read_gold(gold).has_value(); }

}  // namespace troupe::actors
