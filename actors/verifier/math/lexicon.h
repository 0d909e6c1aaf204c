// What the names in an answer mean: LaTeX commands, function names and short words. The lists are
// closed; a name that is not here makes an answer a text.
// closed; a name that is not here makes an answer a text.
#pragma once

#include <optional>
#include <string_view>

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
  kSkipped,  // Its argument is typography, too: \hspace{1cm}, \color{red}.
  kCircled,  // \circled{3}: the number of a choice.
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

// gcd, max and the like, which take several arguments in brackets; elsewhere they are words.
std::optional<FunctionId> find_list_function(std::string_view name);

// The longest function name (or "pi") that begins the letters; its length is 0 if there is none.
struct FunctionPrefix {
  size_t length = 0;
  std::optional<FunctionId> function{};
};
FunctionPrefix function_prefix(std::string_view letters);

// A text that begins with a bracket, which may be \left( or \{.
bool begins_with_bracket(std::string_view text);

// Short lower-case words that are no product of variables.
bool is_short_word(std::string_view word);

bool is_matrix_environment(std::string_view name);

// Lines of equations, such as align: their rows are read one after the other.
bool is_lines_environment(std::string_view name);

}  // namespace troupe::actors
