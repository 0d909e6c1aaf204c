// Tokens to a tree, by operator precedence with the stack in a vector: no recursion, no going back.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "actors/verifier/math/tokens.h"
#include "actors/verifier/math/tree.h"

namespace troupe::actors {

struct ParsedAnswer {
  static constexpr size_t kNodesMax = 5000;
  static constexpr size_t kDepthMax = 256;  // Of brackets, commands and operators left open.

  std::vector<Token> tokens{};
  std::vector<Token> meant{};  // Without what only surrounds the answer (see meant_tokens).
  bool is_compound = false;    // Of several units: 5 ft 6 in.
  bool is_math = false;        // Otherwise a text: only its tokens count.
  Tree tree{};
  NodeIndex root = 0;

  Term term() const { return {&tree, root}; }
};

ParsedAnswer parse_answer(std::string_view text, TokenOptions options = {});

}  // namespace troupe::actors
