// What the tokens of an answer mean, where words, signs or brackets around it say no more than the
// answer itself: "The answer is 5", "= 5", "5 (since 2 + 3 = 5)", "no solution", "3 to 4".
#pragma once

#include <vector>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

std::vector<Token> meant_tokens(const std::vector<Token>& tokens);

}  // namespace troupe::actors
