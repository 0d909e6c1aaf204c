// Values with a unit, a percent or a degree sign, and what may be left out of them.
#pragma once

#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/scalar.h"

namespace troupe::actors {

// A unit, % or degrees outermost.
bool is_measured(Term term);

// At least one is measured. A gold with a unit accepts the bare number, and units of one dimension
// by their exact factors; a percentage accepts its fraction.
Outcome compare_measured(Term gold, Term candidate, Comparison& comparison);

}  // namespace troupe::actors
