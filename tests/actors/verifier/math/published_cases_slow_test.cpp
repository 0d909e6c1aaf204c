// Agreement with published test cases, which published_cases.py brings. Skipped without them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/math_verdict.h"

namespace troupe::actors {
namespace {

struct Case {
  std::string name{};
  bool is_equal = false;
  bool is_response = false;
  std::string gold{};
  std::string text{};
};

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<Case> read_cases(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  std::vector<Case> cases;
  for (const std::string& record : split(all, '\x1e')) {
    const auto fields = split(record, '\x1f');
    if (fields.size() != 5) continue;
    cases.push_back({fields[0], fields[1] == "1", fields[2] == "response", fields[3], fields[4]});
  }
  return cases;
}

// The cases that are known to end otherwise than published: gold and response -> reason.
std::map<std::string, std::vector<std::string>> read_known() {
  std::ifstream in(TROUPE_SOURCE_DIR "/tests/actors/verifier/math/published_disagreements.tsv");
  std::map<std::string, std::vector<std::string>> known;
  std::string line;
  std::getline(in, line);  // The names of the columns.
  while (std::getline(in, line)) {
    const auto fields = split(line, '\t');
    if (fields.size() == 3) known[fields[0] + "\t" + fields[1]].push_back(fields[2]);
  }
  return known;
}

// The beginning of a text in one line, as the table of disagreements shows it.
std::string shown(std::string_view text) {
  std::string shown(text.substr(0, 40));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return shown;
}

const char* const kPath = std::getenv("TROUPE_PUBLISHED_CASES");

TEST_CASE("math published cases: every disagreement is known, with its reason" *
          doctest::skip(kPath == nullptr)) {
  const std::vector<Case> cases = read_cases(kPath);
  const auto known = read_known();
  std::map<std::string, int> num_per_reason;
  int num_agreed = 0;
  for (const Case& each : cases) {
    const MathVerdict verdict = each.is_response ? verify_math(each.text, each.gold)
                                                 : verify_math_answer(each.text, each.gold);
    if ((verdict.kind == VerdictKind::kEqual) == each.is_equal) {
      ++num_agreed;
      continue;
    }
    const auto found = known.find(shown(each.gold) + "\t" + shown(each.text));
    INFO(each.name, "\t", shown(each.gold), "\t", shown(each.text));
    CHECK(found != known.end());
    if (found != known.end()) ++num_per_reason[found->second[0]];
  }
  fmt::print("published cases: {} of {} agree\n", num_agreed, cases.size());
  for (const auto& [reason, count] : num_per_reason) {
    fmt::print("  {} differ: {}\n", count, reason);
    CHECK((reason.starts_with("policy: ") || reason.starts_with("soundness: ")));
  }
  CHECK(cases.size() == 274);
  CHECK(num_agreed * 100 >= 95 * static_cast<int>(cases.size()));
}

}  // namespace
}  // namespace troupe::actors
