#include "schemas/verdict.h"

namespace troupe {

const char* name(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::kEqual:
      return "equal";
    case VerdictKind::kDifferent:
      return "different";
    case VerdictKind::kUndecided:
      return "undecided";
    case VerdictKind::kNoAnswer:
      return "no_answer";
    case VerdictKind::kPassed:
      return "passed";
    case VerdictKind::kWrongAnswer:
      return "wrong_answer";
    case VerdictKind::kCompileError:
      return "compile_error";
    case VerdictKind::kRuntimeError:
      return "runtime_error";
    case VerdictKind::kTimeout:
      return "timeout";
    case VerdictKind::kResourceLimit:
      return "resource_limit";
    case VerdictKind::kWellFormed:
      return "well_formed";
    case VerdictKind::kMalformed:
      return "malformed";
    case VerdictKind::kScored:
      return "scored";
    case VerdictKind::kGoldUnparseable:
      return "gold_unparseable";
    case VerdictKind::kInfraError:
      return "infra_error";
  }
  return "unknown";
}

bool is_payable(VerdictKind kind) {
  return kind != VerdictKind::kGoldUnparseable && kind != VerdictKind::kInfraError;
}

float Verdict::reward() const {
  float sum = 0;
  for (const auto& part : parts) sum += part.weight * part.value;
  return sum;
}

bool Verdict::is_payable() const {
  for (const auto& part : parts) {
    if (!troupe::is_payable(part.kind)) return false;
  }
  return !parts.empty();
}

}  // namespace troupe
