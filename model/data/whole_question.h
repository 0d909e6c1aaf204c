// Whether a prompt has all that its question needs. A row whose choices, passage or picture are
// left away would teach that the answer cannot be known.
#pragma once

#include <string_view>

#include "model/data/prompt_template.h"
#include "model/data/row.h"
#include "schemas/result.h"

namespace troupe::model {

// What belongs to the question and does not stand in the prompt is kInvalidArgument, with what to
// do. `gold`: empty of a demonstration.
Status check_whole(const Row& row, const Prompt& asked, std::string_view gold);

// Pictures, sounds and tools, which no prompt has.
Status check_text_only(const Row& row);

// The position of the right choice in place of its letter or its text: nobody who reads the prompt
// knows where it is counted from.
Status check_no_position(const Row& row, std::string_view gold, std::string_view answer_column);

}  // namespace troupe::model
