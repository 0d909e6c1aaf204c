// Whether two terms are written alike, up to the order of sums and products. It needs no values, so
// it also decides where there are none to be had.
#pragma once

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/tree.h"

namespace troupe::actors {

bool is_same_structure(Term a, Term b, Fuel& fuel);

}  // namespace troupe::actors
