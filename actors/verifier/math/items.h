// What a list, a set or an expression with \pm holds.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "actors/verifier/math/tree.h"

namespace troupe::actors {

bool is_list_or_set(Term term);

// A \pm that stands for two values still.
bool has_plus_minus(Term term);

// \pm 1 \pm 2 may have two values or four.
bool has_unclear_signs(Term term);

// The values of a list, a set or an expression with \pm; a named value counts as its value.
struct Items {
  std::vector<Term> values{};
  std::vector<std::string> names{};  // One per value; empty where none is named.

  bool has_distinct_names() const {
    std::vector<std::string> sorted = names;
    std::sort(sorted.begin(), sorted.end());
    return !names.empty() && !sorted[0].empty() &&
           std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  }
};

Items items_of(Term term);

}  // namespace troupe::actors
