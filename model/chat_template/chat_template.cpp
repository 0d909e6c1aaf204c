#include "model/chat_template/chat_template.h"

#include <nlohmann/json.hpp>

#include "model/chat_template/interpreter.h"
#include "model/chat_template/parser.h"

namespace troupe::model {

struct ChatTemplate::Program {
  chat_template::Statements statements{};
};

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto statements = chat_template::parse(source);
  if (!statements) return statements.error();
  ChatTemplate made;
  made.program_ = std::make_shared<const Program>(Program{std::move(*statements)});
  return made;
}

Result<chat_template::Text> ChatTemplate::render(const nlohmann::ordered_json& variables) const {
  chat_template::Variables values;
  for (const auto& [name, value] : variables.items()) {
    const bool is_foreign = name == "messages" || name == "tools" || name == "documents";
    values.emplace_back(name, chat_template::value_of(value, is_foreign));
  }
  return chat_template::run(program_->statements, std::move(values));
}

}  // namespace troupe::model
