// Whether an answer is the gold answer, shape by shape. Shapes must agree except where the gold's
// shape says which other ones mean the same.
#pragma once

#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/scalar.h"

namespace troupe::actors {

Outcome compare_terms(Term gold, Term candidate, Comparison& comparison);

// More than one value: what may be answered in several boxes.
bool is_collection(Term term);

}  // namespace troupe::actors
