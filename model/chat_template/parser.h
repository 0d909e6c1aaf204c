// From the words of a chat template to its tree.
#pragma once

#include <string_view>

#include "model/chat_template/syntax.h"
#include "schemas/result.h"

namespace troupe::model::chat_template {

// kInvalidArgument, "chat_template:LINE: ...", for what is no template, for a tag that this program
// does not know, by its name, and for what is nested too deeply.
Result<Statements> parse(std::string_view source);

}  // namespace troupe::model::chat_template
