// What a verifier says about one response. An infrastructure failure is not a wrong answer: it has
// a kind of its own and is never paid as a zero.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

// Values cross the wire: append, never renumber.
enum class VerdictKind : uint8_t {
  // Mathematics: a function of the two texts alone.
  kEqual = 1,
  kDifferent = 2,
  kUndecided = 3,  // Both were read but equality was not settled within the limits: pays 0.
  kNoAnswer = 4,   // The response contains no single final answer: pays 0.
  // Code.
  kPassed = 10,
  kWrongAnswer = 11,
  kCompileError = 12,
  kRuntimeError = 13,
  kTimeout = 14,
  kResourceLimit = 15,
  // Form (R1's format reward and the like).
  kWellFormed = 20,
  kMalformed = 21,
  // A matter of degree (language, length, repetition, a program of the user's): the value says it.
  kScored = 22,
  // Any.
  kGoldUnparseable = 30,  // The reference answer is not readable: the prompt is refused, not paid.
  kInfraError = 31,       // The verifier failed, not the response: retry elsewhere, never a zero.
};

const char* name(VerdictKind kind);  // "equal", "no_answer", ... as in reports.

// True for kinds that are facts about the response, and so may be turned into a reward.
bool is_payable(VerdictKind kind);

// More right than wrong, where parts are a matter of degree.
constexpr float kRightValueMin = 0.5f;

// One reward part, e.g. accuracy or format.
struct VerdictPart {
  std::string name{};  // The key under [rewards].
  VerdictKind kind = VerdictKind::kInfraError;
  float value = 0;       // In [0, 1]; 0 when the part failed.
  float weight = 1;      // From the job.
  std::string reason{};  // One short sentence for people.

  bool is_right() const { return value >= kRightValueMin; }
};

struct Verdict {
  std::vector<VerdictPart> parts{};

  float reward() const;  // Sum of weight * value in part order.
  bool is_payable() const;
};

}  // namespace troupe
