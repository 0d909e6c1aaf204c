// Answers with a modulus: "x \equiv 7 \pmod{12}", "7 mod 12", "x \equiv 1, 5 \pmod 6".
#pragma once

#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/scalar.h"

namespace troupe::actors {

// A residue with its modulus, or a list that ends with one.
bool is_congruence(Term term);

// At least one of the two is a congruence. A gold's modulus may be left out, and a residue that is
// one (from 0 to below its modulus) is the number; 19 is not 7 modulo 12 without saying so.
Outcome compare_congruences(Term gold, Term candidate, Comparison& comparison);

}  // namespace troupe::actors
