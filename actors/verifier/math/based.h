// Numbers that are written in a base: 52_8.
#pragma once

#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/scalar.h"

namespace troupe::actors {

// At least one is a number in a base. Whoever asks for base 5 wants the digits, not the value, and
// the base may be left out. Whoever asks for a number takes it in any base that is named.
Outcome compare_based(Term gold, Term candidate, Comparison& comparison);

}  // namespace troupe::actors
