// Answers to multiple choice: "C", "(C)", "C.", "(C) 12".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

// The letter from A to J, 0 if the tokens are no such answer. What follows the letter counts only
// where it is set off by a bracket or the like.
char choice_letter(const std::vector<Token>& tokens);

// Several choices: "A, C and D", "ACD".
struct ChoiceSet {
  std::vector<std::string> choices{};  // Sorted.
  // Something stands between the letters; without it they may be a name, such as a segment's.
  bool is_explicit = false;
  bool is_one_of = false;  // "A or C" is not both.

  bool operator==(const ChoiceSet& other) const {
    return choices == other.choices && is_one_of == other.is_one_of;
  }
};

// Nothing for other tokens, for one choice and for one that is named twice.
std::optional<ChoiceSet> choice_set(const std::vector<Token>& tokens);

}  // namespace troupe::actors
