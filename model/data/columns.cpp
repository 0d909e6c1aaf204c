#include "model/data/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "model/data/json_row.h"
#include "model/data/short_answer.h"
#include "model/data/test_columns.h"

namespace troupe::model {
namespace {

using nlohmann::json;
using Names = std::span<const std::string_view>;

constexpr std::string_view kPrompts[] = {"prompt", "question",         "problem",  "instruction",
                                         "query",  "question_content", "messages", "conversations"};
constexpr std::string_view kPromptsElse[] = {"input", "text", "description"};
constexpr std::string_view kSystems[] = {"system", "system_prompt"};
constexpr std::string_view kAnswers[] = {
    "gold",   "reward_model.ground_truth", "ground_truth",   "expected_answer", "final_answer",
    "answer", "reference_answer",          "correct_answer", "gold_answer",     "golden_answers"};
constexpr std::string_view kAnswersElse[] = {"label", "target"};
constexpr std::string_view kSolutions[] = {"solution"};
constexpr std::string_view kResponses[] = {"response", "completion", "output"};
constexpr std::string_view kResponsesElse[] = {"answer", "solution"};
// What a person would read with the question, and the policy would not see.
constexpr std::string_view kOptions[] = {"choices",        "options",         "candidates",
                                         "answer_choices", "multiple_choice", "endings"};
constexpr std::string_view kPassages[] = {"context", "passage", "body"};
// Those names also stand for a file's or a table's name: only running text counts.
constexpr std::string_view kPassagesOfWords[] = {"article",   "story",    "paragraph", "document",
                                                 "documents", "contexts", "table"};
constexpr std::string_view kInputs[] = {"input"};
constexpr std::string_view kPictures[] = {"image",  "images", "image_1", "video",
                                          "videos", "audio",  "audios"};
constexpr std::string_view kTools[] = {"tools", "functions"};
// A column for each choice: of a name, those with the letters or the numbers of the choices.
constexpr std::string_view kOptionStems[] = {"option_", "option", "choice_", "choice", "op", ""};

constexpr size_t kAlternativesMax = 64;

// "Final Answer", "final-answer" and "final_answer" are one name.
std::string folded(std::string_view name) {
  std::string text(trimmed(name));
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c == ' ' || c == '-') c = '_';
  }
  return text;
}

// Nothing to be read: as if the column were not there.
bool is_absent(const json& value) {
  if (value.is_null()) return true;
  if (value.is_string()) return trimmed(value.get_ref<const std::string&>()).empty();
  if (value.is_array()) return std::all_of(value.begin(), value.end(), is_absent);
  return value.is_object() && value.empty();
}

struct Column {
  std::string name{};  // As the row spells it.
  const json* value = nullptr;
};

std::string name_of(std::string_view name) { return fmt::format("'{}'", name.substr(0, 80)); }

// One row, its columns by name, and where it is.
class Row {
 public:
  Row(const std::string& path, const FileRow& row) : path_(path), row_(row) {}

  const json& object() const { return row_.object; }
  const std::string& text() const { return row_.text; }

  // Names may hold anything, a message is one line.
  Error error(std::string_view what) const {
    return invalid_argument(one_line(fmt::format("{}:{}: {}", path_, row_.line, what)));
  }

  Error wrong_type(const Column& column, std::string_view wanted) const {
    const json& value = *column.value;
    const bool is_number = number_text(value).has_value();
    return error(fmt::format("column {} is {} {}, expected {}", name_of(column.name),
                             value.is_array() || value.is_object() ? "an" : "a",
                             is_number ? "number" : value.type_name(), wanted));
  }

  // Those of the names that are there with something in them, in the names' order. A dot descends
  // into an object, also where a table has it as text.
  std::vector<Column> columns(Names names) const {
    std::vector<Column> found;
    for (std::string_view name : names) find(row_.object, "", name, found);
    return found;
  }

  std::string names_found() const {
    std::string found;
    for (const auto& [name, value] : row_.object.items()) {
      if (found.size() < 200) found += (found.empty() ? "" : ", ") + name;
    }
    return found.empty() ? "none" : found;
  }

  Error missing(std::string_view what, std::initializer_list<Names> names) const {
    std::string known;
    for (Names some : names) {
      known += fmt::format("{}{}", known.empty() ? "" : " | ", fmt::join(some, " | "));
    }
    std::string hint;
    // {"data": [{...}, {...}]}: the rows are one level down.
    for (const auto& [name, value] : row_.object.items()) {
      const bool has_rows = value.is_array() && !value.empty() && value.front().is_object() &&
                            row_.object.size() <= 3;
      if (has_rows)
        hint = fmt::format("; are the rows in {}? Write that list alone", name_of(name));
    }
    return error(fmt::format("no {} column {}; found: {}; name it with [data] columns{}", what,
                             known, names_found(), hint));
  }

 private:
  void find(const json& object, const std::string& before, std::string_view name,
            std::vector<Column>& found) const {
    if (!object.is_object()) return;
    const size_t dot = name.find('.');
    for (const auto& [key, value] : object.items()) {
      const std::string spelled = folded(key);
      if (spelled == name && !is_absent(value)) found.push_back({before + key, &value});
      if (dot != name.npos && spelled == name.substr(0, dot)) {
        find(as_object(value), before + key + ".", name.substr(dot + 1), found);
      }
    }
  }

  const json& as_object(const json& value) const {
    if (!value.is_string() || !trimmed(value.get_ref<const std::string&>()).starts_with("{")) {
      return value;
    }
    json& object = opened_.emplace_back();
    return read_json(value.get_ref<const std::string&>(), object) ? value : object;
  }

  const std::string& path_;
  const FileRow& row_;
  mutable std::deque<json> opened_{};  // Of texts; columns point into it.
};

struct Answer {
  std::string gold{};  // Empty: a worked solution that does not say where its answer is.
  std::string column{};
  bool is_any_of = false;  // A list of answers, of which each is right.
};

// ---- Prompts.

// A carriage return is no part of a text that people wrote: it comes from the system it was on.
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

// Python's own way of writing a list of messages, which is not JSON: as a prompt, it would be taken
// to the letter.
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

// A table has lists as text.
const json& as_list(const json& value, json& storage) {
  if (!value.is_string()) return value;
  const std::string& text = value.get_ref<const std::string&>();
  const std::string_view begin = trimmed(text);
  const bool may_be = begin.starts_with("[") && begin.ends_with("]");
  if (may_be && !read_json(text, storage) && storage.is_array() && !storage.empty() &&
      storage.front().is_object()) {
    return storage;
  }
  return value;
}

Result<Prompt> prompt_in(const Row& row, const Column& column) {
  json storage;
  const json& value = as_list(*column.value, storage);
  if (value.is_array()) return messages_in(row, {column.name, &value});
  if (!value.is_string()) return row.wrong_type(column, "text or a list of messages");
  if (is_python_messages(value.get_ref<const std::string&>())) return python_messages(row, column);
  return Prompt{{"user", without_returns(value.get_ref<const std::string&>())}};
}

std::string text_of(const Prompt& prompt) {
  std::string text;
  for (const Message& message : prompt) text += message.content + "\n";
  return text;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(trimmed(part)) != text.npos;
}

struct NamedPrompt {
  std::string column{};
  Prompt prompt{};
};

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
  const auto add_text = [&](Names names, const auto& add) {
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

// Calls `use` with every text and number in a value that may hold others. Of an object whose values
// belong to labels, the labels are no texts.
template <class Use>
void for_each_text(const json& value, const Use& use) {
  if (value.is_string()) return use(value.get_ref<const std::string&>());
  if (const auto number = number_text(value)) return use(*number);
  if (!value.is_structured()) return;
  for (const auto& [key, item] : value.items()) {
    const std::string name = value.is_object() ? folded(key) : "";
    if (name != "label" && name != "labels" && name != "key" && name != "id") {
      for_each_text(item, use);
    }
  }
}

// A value, or what a text holds as JSON: a table has lists as text.
const json& opened(const json& value, json& storage) {
  if (!value.is_string()) return value;
  const std::string_view text = trimmed(value.get_ref<const std::string&>());
  if (!text.starts_with("[") && !text.starts_with("{")) return value;
  return read_json(text, storage) ? value : storage;
}

bool is_of_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         static_cast<unsigned char>(c) >= 0x80;
}

template <class Use>
void for_each_word(std::string_view text, const Use& use) {
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t begin = i;
    while (i < text.size() && is_of_word(text[i])) ++i;
    if (i > begin) use(folded(text.substr(begin, i - begin)));
  }
}

// Whether other texts stand in a prompt: as they are, or else all their words. "A)21" stands in
// "(A) 21".
class PromptWords {
 public:
  explicit PromptWords(const Prompt& prompt) : text_(text_of(prompt)) {}

  bool hold(std::string_view part) const {
    if (holds(text_, part)) return true;
    if (words_.empty()) {
      for_each_word(text_, [&](std::string word) { words_.insert(std::move(word)); });
    }
    bool has_words = false, are_there = true;
    for_each_word(part, [&](const std::string& word) {
      has_words = true;
      are_there = are_there && words_.count(word) > 0;
    });
    return has_words && are_there;
  }

  bool hold_all(const json& value) const {
    json storage;
    bool are_there = true;
    for_each_text(opened(value, storage), [&](std::string_view text) {
      are_there = are_there && (trimmed(text).empty() || hold(text));
    });
    return are_there;
  }

 private:
  std::string text_;
  mutable std::set<std::string> words_{};  // Few rows need them.
};

// More than a name: several words, or a script that does not part them.
bool is_running_text(const json& value) {
  bool is_running = false;
  for_each_text(value, [&](std::string_view text) {
    is_running =
        is_running || std::any_of(text.begin(), text.end(), [](char c) {
          return c == ' ' || c == '\n' || c == '|' || static_cast<unsigned char>(c) >= 0x80;
        });
  });
  return is_running;
}

// Null, or an object of which all is null: a place for a picture without one.
bool has_picture(const json& value) {
  if (value.is_object() || value.is_array()) {
    return std::any_of(value.begin(), value.end(), has_picture);
  }
  return value.is_string();
}

bool is_choice_letter(std::string_view gold) {
  return gold.size() == 1 && folded(gold)[0] >= 'a' && folded(gold)[0] <= 'j';
}

// The columns of a row that has one for each of its choices; none otherwise. "A" and "B" alone are
// choices where the answer is such a letter.
std::vector<Column> choice_columns(const Row& row, std::string_view gold) {
  for (std::string_view stem : kOptionStems) {
    if (stem.empty() && !is_choice_letter(gold)) continue;
    for (char first : {'a', '1'}) {
      if (first == '1' && stem.size() < 3) continue;
      std::vector<Column> found;
      for (int i = 0; i < 10; ++i) {
        const std::string name = std::string(stem) + static_cast<char>(first + i);
        auto column = row.columns(std::array{std::string_view(name)});
        if (column.empty()) break;
        found.push_back(std::move(column[0]));
      }
      if (found.size() >= 2) return found;
    }
  }
  return {};
}

constexpr std::string_view kWriteItThere =
    "write it into the prompt, name a column that has it with [data] columns, or take this column "
    "out of the file";

// What belongs to the question and does not stand in the prompt. `gold`: empty of a demonstration.
Status check_whole(const Row& row, const Prompt& asked, std::string_view gold) {
  const PromptWords prompt(asked);
  std::vector<Column> options = row.columns(kOptions);
  for (Column& column : choice_columns(row, gold)) options.push_back(std::move(column));
  for (const Column& column : options) {
    if (column.value->is_boolean() || prompt.hold_all(*column.value)) continue;
    return row.error(
        fmt::format("the choices in {} do not stand in the prompt, so no policy could know them; "
                    "write them into it, and the right letter into the answer; name a column that "
                    "has them with [data] columns, or take this column out of the file",
                    name_of(column.name)));
  }
  const auto is_missing = [&](const Column& column) {
    return !column.value->is_boolean() && !prompt.hold_all(*column.value);
  };
  const auto missing = [&](const Column& column) {
    return row.error(
        fmt::format("the text in {} does not stand in the prompt, so no policy could know it; {}",
                    name_of(column.name), kWriteItThere));
  };
  for (const Column& column : row.columns(kPassages)) {
    if (is_missing(column)) return missing(column);
  }
  for (const Column& column : row.columns(kPassagesOfWords)) {
    if (is_running_text(*column.value) && is_missing(column)) return missing(column);
  }
  for (const Column& column : row.columns(kInputs)) {
    if (column.value->is_string() && is_missing(column)) return missing(column);
  }
  return ok();
}

// Pictures and tools, which no prompt has.
Status check_text_only(const Row& row) {
  for (const Column& column : row.columns(kPictures)) {
    if (!has_picture(*column.value)) continue;
    return row.error(
        fmt::format("column {} has pictures or sounds, which no policy here is shown; leave the "
                    "row out, or take the column out of the file where the text is enough",
                    name_of(column.name)));
  }
  for (const Column& column : row.columns(kTools)) {
    json storage;
    const json& tools = opened(*column.value, storage);
    if (!tools.is_array() || tools.empty()) continue;
    return row.error(
        fmt::format("column {} has tools, which no policy here can call; leave the row out, or "
                    "take the column out of the file where the text is enough",
                    name_of(column.name)));
  }
  return ok();
}

// The position of the right choice in place of its letter or its text: nobody who reads the prompt
// knows where it is counted from.
Status check_no_position(const Row& row, const Answer& answer) {
  const std::string_view gold = answer.gold;
  if (gold.empty() || gold.size() > 2 || gold.find_first_not_of("0123456789") != gold.npos) {
    return ok();
  }
  for (const Column& column : row.columns(kOptions)) {
    json storage;
    const json& choices = opened(*column.value, storage);
    bool is_a_choice = false;
    for_each_text(choices, [&](std::string_view text) {
      for_each_word(text, [&](const std::string& word) { is_a_choice |= word == gold; });
    });
    if (!choices.is_structured() || is_a_choice) continue;
    return row.error(fmt::format(
        "the answer {} in {} is none of the choices in {}, it is the position of one, and a prompt "
        "does not say where it is counted from; write the right letter into the answer",
        gold, name_of(answer.column), name_of(column.name)));
  }
  return ok();
}

// ---- References.

std::optional<std::string> one_answer(const json& value) {
  if (value.is_string()) return std::string(trimmed(value.get_ref<const std::string&>()));
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return number_text(value);
}

// A list in a text, as in "[\"7\"]": some data sets write all their answers so.
const json& as_texts(const json& value, json& storage) {
  if (!value.is_string()) return value;
  const std::string_view text = trimmed(value.get_ref<const std::string&>());
  if (!text.starts_with("[\"") || read_json(text, storage) || !storage.is_array()) return value;
  return storage;
}

Result<Answer> answer_in(const Row& row, const Column& column, bool is_short) {
  json storage;
  const json& value = as_texts(*column.value, storage);
  std::vector<std::string> answers;
  Answer read{.column = column.name};
  for (const json& item : value.is_array() ? value : json::array({value})) {
    if (is_absent(item)) continue;
    auto text = one_answer(item);
    if (!text) return row.wrong_type(column, "text, a number or a list of them");
    ShortAnswer shortened = short_answer(*text);
    if (!shortened.how.empty() && !shortened.text.empty()) {
      read.column = column.name + ", " + std::string(shortened.how);
    }
    const bool is_kept_whole = !is_short && shortened.how != kAfterMark;
    answers.push_back(is_kept_whole ? *text : std::move(shortened.text));
    if (is_kept_whole) read.column = column.name;
  }
  if (answers.size() > kAlternativesMax) {
    return row.error(fmt::format("column {} has {} answers; at most {} are read",
                                 name_of(column.name), answers.size(), kAlternativesMax));
  }
  std::erase(answers, "");
  if (answers.size() == 1) read.gold = std::move(answers[0]);
  if (answers.size() > 1) {
    read.gold = json(answers).dump();
    read.column = column.name + ", any of its values";
    read.is_any_of = true;
  }
  return read;
}

// Whether two answers are written alike, but for what does not count.
bool is_alike(std::string_view a, std::string_view b) {
  const auto bare = [](std::string_view text) {
    std::string out = unboxed(text);
    std::erase_if(out, [](char c) { return c == '$' || c == ' ' || c == ','; });
    return out;
  };
  const std::string x = bare(a), y = bare(b);
  if (x == y) return true;
  const auto number = [](const std::string& text) -> std::optional<double> {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    return text.empty() || *end != '\0' ? std::nullopt : std::optional(value);
  };
  return number(x) && number(x) == number(y);
}

// A truth value beside a completion says whether that is a good one, and answers nothing.
bool is_mark_of_completion(const Row& row, const Column& column) {
  return column.value->is_boolean() && folded(column.name) == "label" &&
         !row.columns(kResponses).empty();
}

// The row's answer; one without a gold where there is none that can be used.
Result<std::optional<Answer>> find_answer(const Row& row, bool is_short, std::string_view by_hand) {
  const std::string name = folded(by_hand);
  std::vector<Column> found;
  if (!by_hand.empty()) {
    found = row.columns(std::array{std::string_view(name)});
  } else {
    for (Names names : {Names(kAnswers), Names(kAnswersElse), Names(kSolutions)}) {
      if (found.empty()) found = row.columns(names);
    }
  }
  std::optional<Answer> first;
  for (const Column& column : found) {
    // Tests that are called an answer are for whoever runs them.
    if (is_test_column(*column.value)) continue;
    if (by_hand.empty() && is_mark_of_completion(row, column)) continue;
    auto answer = answer_in(row, column, is_short);
    if (!answer) return answer.error();
    if (!first || (first->gold.empty() && !answer->gold.empty())) {
      first = std::move(*answer);
    } else if (!answer->gold.empty() && !is_alike(first->gold, answer->gold)) {
      return row.error(fmt::format(
          "the answer may be in {} or in {}, which differ; say which with [data] columns = {{ "
          "answer = \"{}\" }}",
          name_of(first->column), name_of(answer->column), first->column));
    }
  }
  return first;
}

// Messages that end with the assistant's: what it says is the answer where no column has one.
std::optional<std::string> split_last_answer(const std::string& column, Prompt& prompt) {
  const std::string name = folded(column);
  if (name != "messages" && name != "conversations") return {};
  if (prompt.size() < 2 || prompt.back().role != "assistant") return {};
  std::string answer = std::move(prompt.back().content);
  prompt.pop_back();
  return answer;
}

constexpr std::string_view kNothingToCompareWith =
    "is a worked solution that does not say where its answer is, with #### or \\boxed{}";

// What data sets write where they have no answer. As a gold it would be paid to whoever says so.
bool is_no_answer(std::string_view gold) {
  constexpr std::string_view kNone[] = {"proof", "not found", "nan", "n/a", "null", "<na>"};
  std::string text(trimmed(gold));
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return std::find(std::begin(kNone), std::end(kNone), text) != std::end(kNone);
}

// Some data sets say of a list of answers that a response must give each of them.
bool wants_all(const Row& row) {
  constexpr std::string_view kAll[] = {"is_multiple_answer"};
  for (const Column& column : row.columns(kAll)) {
    if (*column.value == true || *column.value == "True" || *column.value == "true") return true;
  }
  return false;
}

ProblemRow unusable(std::string reason) { return {.unusable = {std::move(reason)}}; }

}  // namespace

Result<ProblemRow> read_problem(const std::string& path, const FileRow& file_row,
                                WantedReference wanted, const ColumnNames& columns) {
  const Row row(path, file_row);
  auto prompt = read_prompt(row, columns.prompt);
  if (!prompt) return prompt.error();
  if (Status is_text = check_text_only(row); !is_text) return is_text.error();
  ProblemRow read{
      .problem = {.prompt = std::move(prompt->prompt), .prompt_column = std::move(prompt->column)}};
  ReadProblem& problem = read.problem;
  const auto said_last = split_last_answer(problem.prompt_column, problem.prompt);
  if (trimmed(text_of(problem.prompt)).empty()) {
    return unusable(fmt::format("column {} is empty", name_of(problem.prompt_column)));
  }
  const bool wants_tests = wanted != WantedReference::kShortAnswer;
  const bool wants_answer = wanted != WantedReference::kTests;
  const std::string tests = test_columns(row.object(), columns.answer);
  // Tests that were named by hand are not an answer too.
  const bool are_tests_named = !tests.empty() && !columns.answer.empty();
  auto answer = are_tests_named ? Result<std::optional<Answer>>(std::optional<Answer>())
                                : find_answer(row, wanted != WantedReference::kAny, columns.answer);
  if (!answer) {
    // Whoever runs tests has no use for the answer, whatever it is.
    if (tests.empty() || wants_answer) return answer.error();
    *answer = std::nullopt;
  }
  if (!*answer && said_last && columns.answer.empty()) {
    const ShortAnswer last = short_answer(*said_last);
    *answer = Answer{wanted == WantedReference::kAny ? *said_last : last.text,
                     problem.prompt_column + ", the assistant's last"};
  }
  // A solution beside tests is a program.
  const bool is_program = !tests.empty() && *answer && folded((*answer)->column) == "solution";
  const bool has_answer = *answer && !(*answer)->gold.empty() && !is_program;
  if (!tests.empty() && has_answer && wants_tests && wants_answer) {
    return row.error(fmt::format(
        "the row has an answer in {} and tests in {}; say which is meant: by a job's [rewards] "
        "(verifier = \"math\" or \"code\"), or with [data] columns",
        name_of((*answer)->column), name_of(tests)));
  }
  if (!tests.empty() && wants_tests) {
    problem.kind = ReferenceKind::kTests;
    problem.gold = row.text();
    problem.reference_column = tests;
    add_starter_code(row.object(), problem.prompt);
    return read;
  }
  if (has_answer && wants_answer) {
    if (wanted != WantedReference::kAny && is_no_answer((*answer)->gold)) {
      return unusable(fmt::format("column {} says '{}', which is no answer",
                                  name_of((*answer)->column), trimmed((*answer)->gold)));
    }
    if (Status is_whole = check_whole(row, problem.prompt, (*answer)->gold); !is_whole) {
      return is_whole.error();
    }
    if (Status is_told = check_no_position(row, **answer); !is_told) return is_told.error();
    if ((*answer)->is_any_of && wants_all(row)) {
      return unusable(
          fmt::format("column {} has several answers, of which all are wanted; write "
                      "them as one text",
                      name_of((*answer)->column)));
    }
    problem.gold = std::move((*answer)->gold);
    problem.reference_column = std::move((*answer)->column);
    return read;
  }
  if (!tests.empty()) {
    return unusable(
        fmt::format("has tests in {} and no answer, and the job has no reward that "
                    "runs programs (verifier = \"code\")",
                    name_of(tests)));
  }
  if (has_answer) {
    return unusable(
        fmt::format("has an answer in {} and no tests, and the job's reward runs "
                    "programs",
                    name_of((*answer)->column)));
  }
  if (*answer && !(*answer)->column.empty()) {
    return unusable(fmt::format("column {} {}", name_of((*answer)->column), kNothingToCompareWith));
  }
  constexpr std::string_view kMarks[] = {"label"};
  for (const Column& column : row.columns(kMarks)) {
    if (!columns.answer.empty() || !is_mark_of_completion(row, column)) continue;
    return row.error(fmt::format(
        "column {} says whether a completion is a good one, which is no answer to compare with",
        name_of(column.name)));
  }
  // Known columns with nothing in them are a gap in the data; without one, the layout is unknown.
  const std::string empty = empty_reference_column(row.object());
  if (!empty.empty() && columns.answer.empty()) {
    return unusable(fmt::format("column {} is empty", name_of(empty)));
  }
  if (!columns.answer.empty()) {
    return row.error(fmt::format("no column {} with an answer in it; found: {}",
                                 name_of(columns.answer), row.names_found()));
  }
  if (wanted == WantedReference::kTests) {
    return row.error(
        fmt::format("no tests in a known form: {}; found: {}", kTestForms, row.names_found()));
  }
  return row.missing("answer", {kAnswers, kAnswersElse, kSolutions});
}

Result<ReadDemonstration> read_demonstration(const std::string& path, const FileRow& file_row) {
  const Row row(path, file_row);
  auto prompt = read_prompt(row, "");
  if (!prompt) return prompt.error();
  if (Status is_text = check_text_only(row); !is_text) return is_text.error();
  if (Status is_whole = check_whole(row, prompt->prompt, ""); !is_whole) return is_whole.error();
  constexpr std::string_view kMarks[] = {"label"};
  for (const Column& mark : row.columns(kMarks)) {
    if (*mark.value == false || *mark.value == "False" || *mark.value == "false") {
      return row.error(
          fmt::format("column {} marks the response as a bad one, and a demonstration is learned; "
                      "leave such rows out",
                      name_of(mark.name)));
    }
  }
  ReadDemonstration read{.prompt = std::move(prompt->prompt)};
  std::vector<Column> found = row.columns(kResponses);
  if (found.empty()) {
    if (auto last = split_last_answer(prompt->column, read.prompt)) {
      read.response = std::move(*last);
      if (read.response.empty()) return row.error("the response is empty");
      return read;
    }
    found = row.columns(kResponsesElse);
    if (found.size() > 1) {
      return row.error(fmt::format(
          "the response may be in {} or in {}; call the one that is to be learned 'response'",
          name_of(found[0].name), name_of(found[1].name)));
    }
  }
  const std::string name = folded(prompt->column);
  if (found.empty() && (name == "messages" || name == "conversations")) {
    return row.error(fmt::format("column {} does not end with the assistant's answer to a prompt",
                                 name_of(prompt->column)));
  }
  if (found.empty()) {
    for (const char* known : {"response", "completion", "output", "answer", "solution"}) {
      if (row.object().contains(known)) return row.error("the response is empty");
    }
    return row.missing("response", {kResponses, kResponsesElse});
  }
  for (const Column& other : found) {
    if (*other.value != *found[0].value) {
      return row.error(
          fmt::format("the response may be in {} or in {}; keep the one that is to be learned",
                      name_of(found[0].name), name_of(other.name)));
    }
  }
  json storage;
  const Column column{found[0].name, &as_list(*found[0].value, storage)};
  if (column.value->is_string() &&
      is_python_messages(column.value->get_ref<const std::string&>())) {
    return python_messages(row, column);
  }
  if (column.value->is_array()) {
    auto messages = messages_in(row, column);
    if (!messages) return messages.error();
    if (messages->size() != 1 || messages->front().role != "assistant") {
      return row.error(
          fmt::format("column {} is not one message of the assistant", name_of(column.name)));
    }
    read.response = std::move(messages->front().content);
  } else if (column.value->is_string()) {
    read.response = without_returns(column.value->get_ref<const std::string&>());
  } else {
    return row.wrong_type(column, "text");
  }
  if (read.response.empty()) return row.error("the response is empty");
  return read;
}

}  // namespace troupe::model
