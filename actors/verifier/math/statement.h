// Answers that say what a name stands for: "x = 3", "f(x) = 2x + 1", "x = 5 + 6 = 11".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actors/verifier/math/tree.h"

namespace troupe::actors {

struct Statement {
  std::string name{};  // Empty: only constants stand there, as in "2 + 3 = 5".
  Term value{};
  std::vector<Term> between{};  // Further sides, written before the value.
  std::vector<Term> nearby{};   // Those that follow "approximately".
};

// Nothing for equations that are to be solved ("x + z = 1"), inequalities and terms without "=".
std::optional<Statement> read_statement(Term term);

// x, f(x), (p, q), |AB|, a : b: something whose value can be said. Empty for other terms.
std::string spelled_name(Term term);

bool is_relation(Term term);
// One of < > and their like in it.
bool is_inequality(Term term);

}  // namespace troupe::actors
