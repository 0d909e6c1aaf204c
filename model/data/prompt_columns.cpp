#include "model/data/prompt_columns.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "model/data/json_row.h"

namespace troupe::model {
namespace {

using nlohmann::json;

constexpr std::string_view kPrompts[] = {"prompt", "question",         "problem",  "instruction",
                                         "query",  "question_content", "messages", "conversations"};
constexpr std::string_view kPromptsElse[] = {"input", "text", "description"};
constexpr std::string_view kSystems[] = {"system", "system_prompt"};
constexpr std::string_view kInputs[] = {"input"};

// The text of a message: as it is, or parts of which all are text.
std::optional<std::string> content_of(const json& content) {
  if (content.is_string()) return without_returns(content.get_ref<const std::string&>());
  if (!content.is_array()) return {};
  std::string text;
  for (const json& part : content) {
    const bool is_text = part.is_object() && part.value("type", json()) == "text" &&
                         part.contains("text") && part["text"].is_string();
    if (!is_text) return {};
    text += part["text"].get_ref<const std::string&>();
  }
  return without_returns(text);
}

std::string_view role_of(std::string_view name) {
  if (name == "human") return "user";
  if (name == "gpt") return "assistant";
  return name;
}

Result<Prompt> prompt_in(const Row& row, const Column& column) {
  json storage;
  const json& value = as_list(*column.value, storage);
  if (value.is_array()) return messages_in(row, {column.name, &value});
  if (!value.is_string()) return row.wrong_type(column, "text or a list of messages");
  if (is_python_messages(value.get_ref<const std::string&>())) return python_messages(row, column);
  return Prompt{{"user", without_returns(value.get_ref<const std::string&>())}};
}

}  // namespace

std::string without_returns(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      out += '\n';
    }
  }
  return out;
}

Result<Prompt> messages_in(const Row& row, const Column& column) {
  Prompt prompt;
  for (const json& item : *column.value) {
    const auto field = [&](const char* name, const char* other) {
      const auto found = item.find(name);
      return found != item.end() ? found : item.find(other);
    };
    if (!item.is_object() || field("role", "from") == item.end() ||
        field("content", "value") == item.end() || !field("role", "from")->is_string()) {
      return row.error(
          fmt::format("column {}: a message is not {{\"role\": text, \"content\": text}}",
                      name_of(column.name)));
    }
    const auto content = content_of(*field("content", "value"));
    if (!content) {
      return row.error(fmt::format(
          "column {}: a message's content is no text and no list of parts {{\"type\": \"text\", "
          "\"text\": text}}; pictures and tools are not read",
          name_of(column.name)));
    }
    const std::string name = field("role", "from")->get<std::string>();
    prompt.push_back({std::string(role_of(name)), *content});
    const std::string& role = prompt.back().role;
    if (role != "system" && role != "user" && role != "assistant") {
      return row.error(fmt::format("column {}: unknown role; known: system, user, assistant",
                                   name_of(column.name)));
    }
  }
  if (prompt.empty()) {
    return row.error(fmt::format("column {} has no messages", name_of(column.name)));
  }
  return prompt;
}

bool is_python_messages(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with("array(")) text.remove_prefix(6);
  if (!text.starts_with("[")) return false;
  text = trimmed(text.substr(1));
  if (!text.starts_with("{'")) return false;
  const std::string_view key = text.substr(2, text.find('\'', 2) - 2);
  return key == "role" || key == "content" || key == "from" || key == "value";
}

Error python_messages(const Row& row, const Column& column) {
  return row.error(
      fmt::format("column {} is a list of messages as Python prints it, not as JSON; write it with "
                  "json.dumps, or the file as JSON lines",
                  name_of(column.name)));
}

const json& as_list(const json& value, json& storage) {
  const json& list = opened(value, storage);
  const bool is_of_messages = list.is_array() && !list.empty() && list.front().is_object();
  return is_of_messages ? list : value;
}

std::string text_of(const Prompt& prompt) {
  std::string text;
  for (const Message& message : prompt) text += message.content + "\n";
  return text;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(trimmed(part)) != text.npos;
}

Result<NamedPrompt> read_prompt(const Row& row, std::string_view by_hand) {
  std::vector<Column> found;
  if (!by_hand.empty()) {
    const std::string name = folded(by_hand);
    found = row.columns(std::array{std::string_view(name)});
    if (found.empty()) {
      return row.error(fmt::format("no column {} with a prompt in it; found: {}", name_of(by_hand),
                                   row.names_found()));
    }
  } else {
    found = row.columns(kPrompts);
    if (found.empty()) found = row.columns(kPromptsElse);
    if (found.empty()) return row.missing("prompt", {kPrompts, kPromptsElse});
  }
  NamedPrompt read{.column = found[0].name};
  auto prompt = prompt_in(row, found[0]);
  if (!prompt) return prompt.error();
  read.prompt = std::move(*prompt);
  // A second column may repeat the first or a part of it.
  const std::string first = text_of(read.prompt);
  for (size_t i = 1; i < found.size(); ++i) {
    auto other = prompt_in(row, found[i]);
    if (!other) return other.error();
    if (!holds(first, other->front().content) && !holds(text_of(*other), first)) {
      return row.error(fmt::format(
          "the prompt may be in {} or in {}, which differ; say which with [data] columns = {{ "
          "prompt = \"{}\" }}",
          name_of(found[0].name), name_of(found[i].name), found[0].name));
    }
  }
  if (!by_hand.empty()) return read;
  const auto add_text = [&](ColumnList names, const auto& add) {
    for (const Column& column : row.columns(names)) {
      if (!column.value->is_string()) continue;
      const std::string text = without_returns(column.value->get_ref<const std::string&>());
      if (holds(text_of(read.prompt), text)) continue;
      add(text);
      read.column += " + " + column.name;
    }
  };
  if (folded(found[0].name) == "instruction") {
    add_text(kInputs, [&](const std::string& text) { read.prompt.back().content += "\n" + text; });
  }
  if (read.prompt.front().role != "system") {
    add_text(kSystems, [&](const std::string& text) {
      read.prompt.insert(read.prompt.begin(), {"system", text});
    });
  }
  return read;
}

}  // namespace troupe::model
