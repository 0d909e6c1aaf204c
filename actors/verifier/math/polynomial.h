// The normal form of polynomials and rational functions with rational coefficients. Everything that
// is not one, or would be too large, is left to another stage.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/verifier/math/exact.h"
#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/outcome.h"

namespace troupe::actors {

struct PolynomialLimits {
  static constexpr size_t kVariablesMax = 8;
  static constexpr uint64_t kDegreeMax = 64;
  static constexpr uint64_t kTermsMax = 10'000;
  static constexpr uint64_t kCoefficientBitsMax = 8'192;
};

// Equal as rational functions of the variables. kUnknown: one of them is none.
Outcome compare_polynomials(const ExactTerm& gold, const ExactTerm& candidate,
                            const std::vector<std::string>& variables, Fuel& fuel);

struct Proportion {
  Outcome outcome = Outcome::kUnknown;
  int sign = 0;  // Of the constant factor between the two.
};

// Whether the candidate's numerator is the gold's times a constant that is not zero.
Proportion compare_proportional(const ExactTerm& gold, const ExactTerm& candidate,
                                const std::vector<std::string>& variables, Fuel& fuel);

// a and b when the term is a * variable + b with rational a != 0 and b.
std::optional<std::pair<Rational, Rational>> linear_coefficients(const ExactTerm& term,
                                                                 const std::string& variable,
                                                                 Fuel& fuel);

}  // namespace troupe::actors
