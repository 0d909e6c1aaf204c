#include <string_view>

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/math_verdict.h"
#include "actors/verifier/printable.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::math_verdict {
namespace {

using actors::MathVerdict;

void check(const MathVerdict& verdict) {
  constexpr size_t kReasonBytesMax = 200;
  const bool is_math =
      verdict.kind == VerdictKind::kEqual || verdict.kind == VerdictKind::kDifferent ||
      verdict.kind == VerdictKind::kUndecided || verdict.kind == VerdictKind::kNoAnswer ||
      verdict.kind == VerdictKind::kGoldUnparseable;
  TROUPE_CHECK(is_math);
  TROUPE_CHECK(!verdict.reason.empty());
  TROUPE_CHECK(verdict.reason.size() <= kReasonBytesMax);
  TROUPE_CHECK(actors::printable(verdict.reason, kReasonBytesMax) == verdict.reason);
  TROUPE_CHECK(verdict.extracted.size() <= actors::kAnswerBytesMax);
  TROUPE_CHECK(verdict.fuel_spent <= actors::Fuel::kVerdictUnits);
}

}  // namespace

void fuzz_one(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t tab = text.find('\t');
  const std::string_view gold = text.substr(0, tab);
  const std::string_view candidate = tab == text.npos ? gold : text.substr(tab + 1);
  const MathVerdict verdict = actors::verify_math_answer(candidate, gold);
  check(verdict);
  const bool is_readable = actors::is_readable_gold(gold);
  // What cannot be read is at most written alike.
  const bool is_unparseable = verdict.kind == VerdictKind::kGoldUnparseable;
  TROUPE_CHECK(is_unparseable ? !is_readable : is_readable || verdict.kind == VerdictKind::kEqual);
  // An answer is itself; one with a box in it is what the box holds, and a list of alternatives is
  // any of them.
  if (!is_readable || gold.find("box") != gold.npos || gold.find('"') != gold.npos) return;
  TROUPE_CHECK(actors::verify_math_answer(gold, gold).kind == VerdictKind::kEqual);
}

}  // namespace troupe::fuzz::math_verdict

TROUPE_FUZZ_TARGET(math_verdict)
