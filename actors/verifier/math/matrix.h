// Sums, products and multiples of small matrices of fractions.
#pragma once

#include <optional>
#include <vector>

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/rational.h"
#include "actors/verifier/math/tree.h"

namespace troupe::actors {

struct RationalMatrix {
  static constexpr size_t kEntriesMax = 64;

  size_t num_columns = 0;
  std::vector<Rational> entries{};  // Row by row.

  size_t num_rows() const { return entries.size() / num_columns; }
};

// Nothing for terms that are no matrix or whose entries are not all small fractions.
std::optional<RationalMatrix> evaluate_matrix(Term term, Fuel& fuel);

}  // namespace troupe::actors
