#include "actors/verifier/math_verdict.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/verifier/answer_text.h"
#include "actors/verifier/exact_number.h"

namespace troupe::actors {
namespace {

VerdictPart part(VerdictKind kind, std::string reason) {
  return {.name = "math",
          .kind = kind,
          .value = kind == VerdictKind::kEqual ? 1.0f : 0.0f,
          .reason = std::move(reason)};
}

// The beginning of a text, safe to show on a terminal.
std::string shown(std::string_view text) {
  constexpr size_t kShownBytesMax = 40;
  std::string shown(text.substr(0, kShownBytesMax));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return text.size() > kShownBytesMax ? shown + "..." : shown;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

// x, x_1, x', \alpha, AB (a segment), (x,y); not xy (a product) and not x+z.
bool is_variable(std::string_view key) {
  if (key.size() > 2 && key.front() == '(' && key.back() == ')') {
    for (size_t i = 1; i + 1 < key.size(); ++i) {
      if (i % 2 == 1 ? !is_letter(key[i]) : key[i] != ',') return false;
    }
    return key.size() % 2 == 1;
  }
  const size_t subscript = key.find('_');
  if (subscript != key.npos && key.size() > subscript + 8) return false;
  key = key.substr(0, subscript);
  if (key.ends_with('\'')) key.remove_suffix(1);
  if (key.size() == 1) return is_letter(key[0]);
  const bool is_command = key.starts_with('\\');
  if (is_command) key.remove_prefix(1);
  if (key.empty() || key.size() > (is_command ? 8 : 3)) return false;
  for (char c : key) {
    if (is_command ? !is_letter(c) : !is_capital(c)) return false;
  }
  return true;
}

// An answer as "variable = ... = value".
struct Statement {
  std::string variable{};  // Its comparison key; empty: none is named.
  std::string value{};
  std::vector<std::string> between{};  // Further sides, which must not contradict the value.
};

Statement read_statement(const std::string& plain) {
  std::vector<std::string> sides;
  size_t begin = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] != '=') continue;
    // ==, <=, >=, != and := are no plain equations; \ne and \le have names.
    const bool is_other =
        (i > 0 && std::string_view("<>!:=").find(plain[i - 1]) != std::string::npos) ||
        (i + 1 < plain.size() && plain[i + 1] == '=');
    if (is_other) return {{}, plain, {}};
    sides.push_back(plain.substr(begin, i - begin));
    begin = i + 1;
  }
  if (sides.empty()) return {{}, plain, {}};
  sides.push_back(plain.substr(begin));
  Statement statement;
  statement.variable = comparison_key(sides.front());
  const bool has_variable = is_variable(statement.variable);
  // x+z = 1 is not 1: with anything but a variable or a number in front the whole text counts.
  if (!has_variable && !parse_exact_number(sides.front())) return {{}, plain, {}};
  if (!has_variable) statement.variable.clear();
  statement.value = plain_answer(sides.back());
  statement.between.assign(sides.begin() + (has_variable ? 1 : 0), sides.end() - 1);
  return statement;
}

bool begins_with_relation(std::string_view plain) {
  for (std::string_view relation : {"\\ne", "\\le", "\\ge", "\\lt", "\\gt", "\\approx", "\\sim",
                                    "\\not", "<", ">", "!=", "="}) {
    if (!plain.starts_with(relation)) continue;
    plain.remove_prefix(relation.size());
    // \left is gone by now, but \neg and \leftarrow are other commands.
    if (relation[0] != '\\' || plain.empty() || !is_letter(plain[0])) return true;
    plain = std::string_view();
  }
  return false;
}

struct Gold {
  std::string plain{};
  std::string_view text{};
};

// Nothing when the reference answer cannot be read. A solution text counts by its box.
std::optional<Gold> read_gold(std::string_view gold) {
  if (const auto box = last_box(gold)) gold = *box;
  if (gold.size() > kAnswerBytesMax) return {};
  Gold read{plain_answer(gold), gold};
  if (read.plain.empty()) return {};
  return read;
}

VerdictPart compare(std::string_view candidate, const Gold& gold) {
  if (candidate.size() > kAnswerBytesMax) {
    return part(VerdictKind::kUndecided,
                fmt::format("the answer is longer than {} bytes", kAnswerBytesMax));
  }
  const std::string plain = plain_answer(candidate);
  if (plain.empty()) return part(VerdictKind::kNoAnswer, "the answer is empty");
  if (begins_with_relation(plain) && !begins_with_relation(gold.plain)) {
    return part(VerdictKind::kNoAnswer, "the answer is a relation and not a value");
  }
  const std::string texts = fmt::format("{} and the gold {}", shown(candidate), shown(gold.text));
  const Statement said = read_statement(plain);
  const Statement wanted = read_statement(gold.plain);
  const auto said_number = parse_exact_number(said.value);
  const auto wanted_number = parse_exact_number(wanted.value);
  const bool names_another =
      !said.variable.empty() && !wanted.variable.empty() && said.variable != wanted.variable;
  for (const std::string& side : said.between) {
    const auto number = parse_exact_number(plain_answer(side));
    if (number && said_number && !has_gold_value(*number, *said_number)) {
      return part(VerdictKind::kDifferent, shown(candidate) + " contradicts itself");
    }
  }
  if (said_number && wanted_number) {
    if (names_another) return part(VerdictKind::kDifferent, texts + " name different variables");
    if (!said_number->unit.empty() && said_number->unit != wanted_number->unit) {
      return part(VerdictKind::kUndecided, texts + " have units that were not compared");
    }
    if (!has_gold_value(*said_number, *wanted_number)) {
      return part(VerdictKind::kDifferent, texts + " are different numbers");
    }
    return part(VerdictKind::kEqual, texts + " are the same number");
  }
  if (!names_another && is_same_text(said.value, wanted.value)) {
    return part(VerdictKind::kEqual, texts + " are the same text");
  }
  return part(VerdictKind::kUndecided,
              texts + " differ as text and are not both numbers that can be compared");
}

VerdictPart gold_unparseable(std::string_view gold) {
  return part(VerdictKind::kGoldUnparseable, gold.size() > kAnswerBytesMax
                                                 ? "the gold answer is too long"
                                                 : "the gold answer is empty");
}

}  // namespace

VerdictPart verify_math(std::string_view response, std::string_view gold) {
  const auto read = read_gold(gold);
  if (!read) return gold_unparseable(gold);
  // 1,234 is a number; any other gold with a comma is a list that may be boxed in parts.
  const bool is_list =
      read->plain.find(',') != std::string::npos && !parse_exact_number(read->plain);
  const ExtractedAnswer answer = extract_answer(response, is_list);
  if (!answer.text) return part(VerdictKind::kNoAnswer, answer.reason);
  return compare(*answer.text, *read);
}

VerdictPart verify_math_answer(std::string_view candidate, std::string_view gold) {
  const auto read = read_gold(gold);
  if (!read) return gold_unparseable(gold);
  return compare(candidate, *read);
}

}  // namespace troupe::actors
