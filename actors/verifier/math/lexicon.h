// What the names in an answer mean: LaTeX commands, function names, words and characters that only
// look like others. The lists are closed; a name that is not here makes an answer a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

enum class CommandAction : char {
  kToken,    // Stands for one token.
  kDropped,  // Typography.
  kUpright,  // \text: what is in its braces is words and units.
  kBox,      // Its braces are typography.
  kSided,    // \left, \right
  kMatrix,   // \begin, \end
  kNot,
};

struct Command {
  CommandAction action = CommandAction::kDropped;
  TokenKind kind = TokenKind::kUnknown;
  char detail = 0;
  std::string_view text{};
};

// The command without its backslash.
std::optional<Command> find_command(std::string_view name);

// sin, arctan, sqrt, ...: as a command or as a word of its own.
std::optional<FunctionId> find_function(std::string_view name);

// The longest function name (or "pi") that begins the letters; its length is 0 if there is none.
struct FunctionPrefix {
  size_t length = 0;
  std::optional<FunctionId> function{};
};
FunctionPrefix function_prefix(std::string_view letters);

// Short lower-case words that are no product of variables.
bool is_short_word(std::string_view word);

bool is_matrix_environment(std::string_view name);

// The same text in ASCII where a character has a LaTeX spelling; control characters are spaces.
std::string with_ascii(std::string_view text);

}  // namespace troupe::actors
