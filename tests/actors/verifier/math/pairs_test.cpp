// Pairs of a gold answer and a candidate with the verdict that is wanted, from files.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/math_verdict.h"
#include "actors/verifier/printable.h"

namespace troupe::actors {
namespace {

struct Pair {
  std::string category{};
  std::string gold{};
  std::string candidate{};
  bool is_equal = false;
};

std::vector<Pair> read_pairs(const std::string& file) {
  std::ifstream in(TROUPE_SOURCE_DIR "/tests/actors/verifier/math/" + file);
  std::vector<Pair> pairs;
  std::string line;
  std::getline(in, line);  // The names of the columns.
  while (std::getline(in, line)) {
    std::vector<std::string> fields(1);
    for (char c : line) {
      if (c == '\t') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    if (fields.size() >= 4) pairs.push_back({fields[0], fields[1], fields[2], fields[3] == "1"});
  }
  return pairs;
}

std::vector<Pair> all_pairs() {
  std::vector<Pair> all = read_pairs("agreed_pairs.tsv");
  for (const char* file : {"more_pairs.tsv", "form_pairs.tsv"}) {
    const std::vector<Pair> more = read_pairs(file);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

TEST_CASE("math pairs: every pair has the verdict that is wanted, within its fuel") {
  std::map<std::string, int> num_per_category;
  int num_unreadable = 0;
  for (const Pair& pair : all_pairs()) {
    INFO(pair.category, ": gold ", pair.gold, ", candidate ", pair.candidate);
    const MathVerdict verdict = verify_math_answer(pair.candidate, pair.gold);
    CHECK((verdict.kind == VerdictKind::kEqual) == pair.is_equal);
    // Such as 1, 2, ..., n: only the same text is the same.
    const bool is_readable = is_readable_gold(pair.gold);
    num_unreadable += !is_readable;
    CHECK((verdict.kind == VerdictKind::kGoldUnparseable) == (!is_readable && !pair.is_equal));
    CHECK(!verdict.reason.empty());
    CHECK(verdict.reason.size() < 200);
    CHECK(printable(verdict.reason, verdict.reason.size()) == verdict.reason);
    CHECK(verdict.fuel_spent <= Fuel::kVerdictUnits);
    ++num_per_category[pair.category];
  }
  CHECK(num_unreadable < 20);
  CHECK(num_per_category.size() == 53);
  CHECK(read_pairs("agreed_pairs.tsv").size() == 107);
  CHECK(read_pairs("more_pairs.tsv").size() >= 380);
  CHECK(read_pairs("form_pairs.tsv").size() >= 800);
}

TEST_CASE("math pairs: an answer is equal to itself") {
  for (const Pair& pair : all_pairs()) {
    INFO(pair.gold);
    CHECK(verify_math_answer(pair.gold, pair.gold).kind == VerdictKind::kEqual);
    CHECK(verify_math("So \\boxed{" + pair.gold + "}.", pair.gold).kind == VerdictKind::kEqual);
  }
}

// The kinds of all verdicts, whatever order they are asked in.
std::vector<VerdictKind> shuffled_verdicts(const std::vector<Pair>& pairs, uint32_t seed) {
  std::vector<size_t> order(pairs.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 random(seed);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<VerdictKind> kinds(pairs.size());
  for (size_t i : order) kinds[i] = verify_math_answer(pairs[i].candidate, pairs[i].gold).kind;
  return kinds;
}

TEST_CASE("math pairs: the verdicts do not depend on order, repetition or threads") {
  // Every 8th pair, so that a thousand passes stay short under a sanitizer.
  std::vector<Pair> pairs;
  const std::vector<Pair> all = all_pairs();
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 8 == 0 && all[i].category != "dos") pairs.push_back(all[i]);
  }
  const std::vector<VerdictKind> wanted = shuffled_verdicts(pairs, 0);
  size_t num_flips = 0;
  for (uint32_t seed = 1; seed <= 500; ++seed)
    num_flips += shuffled_verdicts(pairs, seed) != wanted;
  std::vector<size_t> flips(8);
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint32_t i = 0; i < 63; ++i) {
        flips[thread] += shuffled_verdicts(pairs, 1000 * (thread + 1) + i) != wanted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t count : flips) num_flips += count;
  CHECK(num_flips == 0);
}

}  // namespace
}  // namespace troupe::actors
