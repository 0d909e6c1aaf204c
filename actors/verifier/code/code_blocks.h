// The fenced blocks of a response, as Markdown has them and as people write them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe::actors {

struct CodeBlock {
  std::string_view label{};  // What stands behind the opening fence.
  std::string text{};        // Without the fence's indentation.
};

struct CodeBlocks {
  std::vector<CodeBlock> closed{};  // In order.
  bool has_any = false;             // Also one that is never closed.
};

// A fence is three or more ` or ~. It opens at the beginning of a line, behind a list's mark, or at
// the end of a line of text ("Here: ```python"). It closes with as many of the same character, or
// more, at the beginning of a line or at the end of the block's last line ("print(1)```"). An open
// block that meets a fence with a language's name has been cut off, and that one begins anew.
CodeBlocks find_code_blocks(std::string_view text);

}  // namespace troupe::actors
