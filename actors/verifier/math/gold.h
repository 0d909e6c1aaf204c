// Reference answers: what one may be, and which cannot be compared with at all.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/parser.h"

namespace troupe::actors {

// A list of reference answers may not be longer.
constexpr size_t kAlternativesMax = 64;

struct Gold {
  std::string text{};
  ParsedAnswer parsed{};
  std::string words{};  // Say what each of its values is.
};

struct ReadGold {
  std::vector<Gold> alternatives{};  // Equal to one of them is equal. Empty: it cannot be read.
  std::string fault{};               // Why it cannot.
  // What cannot be read but may still be written alike.
  std::optional<Gold> spelling{};
};

// The text is one answer, a solution with its answer in a box, or the JSON text of a list of
// answers, any of which is right. What cannot be read among those is left out. Words are compared
// as words; mathematics that the grammar does not know cannot be read, because any other spelling
// of it would be refused.
ReadGold read_gold(std::string_view text);

}  // namespace troupe::actors
