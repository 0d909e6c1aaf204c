// Answers to multiple choice: "C", "(C)", "C.", "(C) 12".
#pragma once

#include <vector>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

// The letter from A to J, 0 if the tokens are no such answer. What follows the letter counts only
// where it is set off by a bracket or the like.
char choice_letter(const std::vector<Token>& tokens);

}  // namespace troupe::actors
