// The words of a chat template, with the white space taken away that Jinja takes away when
// trim_blocks and lstrip_blocks are set, as transformers sets them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model::chat_template {

struct Token {
  enum class Kind : uint8_t {
    kText,
    kTagBegin,    // {%
    kTagEnd,      // %}
    kPrintBegin,  // {{
    kPrintEnd,    // }}
    kName,
    kInteger,
    kFloat,
    kString,
    kOperator,
    kEnd,
  };

  Kind kind = Kind::kEnd;
  int line = 1;
  std::string text{};  // Of kString: what it means.
  int64_t integer = 0;
  double number = 0;
};

// kInvalidArgument, "chat_template:LINE: ...", for what is no template.
Result<std::vector<Token>> tokens_of(std::string_view source);

Error error_at(int line, std::string_view what);

}  // namespace troupe::model::chat_template
