// The prompt of a row: which column has it, in whatever form, and what is put before and behind it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "model/data/prompt_template.h"
#include "model/data/row.h"
#include "schemas/result.h"

namespace troupe::model {

struct NamedPrompt {
  std::string column{};  // As the row spells it, with what was added: "question + system".
  Prompt prompt{};
};

// As columns.h says; `by_hand` names the column where it is not empty.
Result<NamedPrompt> read_prompt(const Row& row, std::string_view by_hand);

// A list of {role, content} or {from, value}.
Result<Prompt> messages_in(const Row& row, const Column& column);

// A table has lists of messages as text. `storage` lives as long as what is returned.
const nlohmann::json& as_list(const nlohmann::json& value, nlohmann::json& storage);

// Python's own way of writing a list of messages, which is not JSON: as a prompt, it would be taken
// to the letter.
bool is_python_messages(std::string_view text);
Error python_messages(const Row& row, const Column& column);

// A carriage return is no part of a text that people wrote: it comes from the system it was on.
std::string without_returns(std::string_view text);

// All contents, a line or more each, and whether a text stands in another.
std::string text_of(const Prompt& prompt);
bool holds(std::string_view text, std::string_view part);

}  // namespace troupe::model
