// Answers that repeat what was asked for: "m + n = 42", "|z|^2 = 42", "A = \pi r^2 = 25\pi".
#pragma once

#include <optional>
#include <string>

#include "actors/verifier/math/statement.h"

namespace troupe::actors {

// An equation whose left side is an expression that may be asked for; its last side is what is
// said. Nothing for equations that are to be solved: 2x = 6, x + z = 1.
std::optional<Statement> read_asked_value(Term term);

// A side of a chain that says how the value of `name` is found, as \pi r^2 does; what it is worth
// nobody knows. An equation between unknowns, as in y = x + 1 = 5, says no such thing.
bool is_formula(Term side, const std::string& name);

}  // namespace troupe::actors
