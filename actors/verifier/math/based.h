// Numbers that are written in a base: 52_8.
#pragma once

#include <string_view>

#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/scalar.h"

namespace troupe::actors {

// At least one is a number in a base. Whoever asks for base 5 wants the digits, not the value, and
// the base may be left out. Whoever asks for a number takes it in any base that is named.
Outcome compare_based(Term gold, Term candidate, Comparison& comparison);

// Whether the text is the digits of a gold like 1A_{16}, in either case, with or without the base:
// 1a would otherwise be a product.
bool is_based_text(Term gold, std::string_view text);

}  // namespace troupe::actors
