// Quantities in several units: "5 ft 6 in", "2 hours and 30 minutes", 30 degrees 15'.
#pragma once

#include <vector>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

// The same quantity in its smallest unit; empty where the tokens are nothing of the kind. Each unit
// must be a whole number of the next one, and each number behind the first less than one of the
// unit before it: "2 m and 250 cm" may be two answers.
std::vector<Token> single_quantity(const std::vector<Token>& tokens);

}  // namespace troupe::actors
