// Sums and products over whole numbers and integrals of polynomials, as far as they are fractions
// that can be computed within the fuel.
#pragma once

#include <deque>

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/tree.h"

namespace troupe::actors {

// The same term with the value of every such sum, product and integral in its place; the term
// itself where there is none. `made` keeps what is new.
Term with_series_values(Term term, std::deque<Tree>& made, Fuel& fuel);

}  // namespace troupe::actors
