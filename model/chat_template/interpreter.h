// Runs a chat template's tree.
#pragma once

#include "model/chat_template/run.h"
#include "model/chat_template/syntax.h"

namespace troupe::model::chat_template {

using Variables = std::vector<std::pair<std::string, Value>>;

// What the template writes where these are its variables. Bounded in steps, text and depth.
Result<Text> run(const Statements& statements, Variables variables);

}  // namespace troupe::model::chat_template
