#include "model/data/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <initializer_list>
#include <optional>
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
constexpr std::string_view kOptions[] = {"choices", "options"};
constexpr std::string_view kPassages[] = {"context", "passage", "body"};

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
    constexpr std::string_view kInput[] = {"input"};
    add_text(kInput, [&](const std::string& text) { read.prompt.back().content += "\n" + text; });
  }
  if (read.prompt.front().role != "system") {
    add_text(kSystems, [&](const std::string& text) {
      read.prompt.insert(read.prompt.begin(), {"system", text});
    });
  }
  return read;
}

// What belongs to the question and does not stand in the prompt.
Status check_whole(const Row& row, const Prompt& prompt) {
  const std::string text = text_of(prompt);
  for (const Column& column : row.columns(kOptions)) {
    if (!column.value->is_array()) continue;
    for (const json& option : *column.value) {
      if (option.is_string() && !holds(text, option.get_ref<const std::string&>())) {
        return row.error(
            fmt::format("the choices in {} do not stand in the prompt, so no policy could know "
                        "them; write them into it, and the right letter into the answer, or name "
                        "the prompt with [data] columns",
                        name_of(column.name)));
      }
    }
  }
  for (const Column& column : row.columns(kPassages)) {
    if (column.value->is_string() && !holds(text, column.value->get_ref<const std::string&>())) {
      return row.error(
          fmt::format("the text in {} does not stand in the prompt, so no policy could know it; "
                      "write it into the prompt, or name the prompt with [data] columns",
                      name_of(column.name)));
    }
  }
  return ok();
}

// ---- References.

struct Answer {
  std::string gold{};  // Empty: a worked solution that does not say where its answer is.
  std::string column{};
};

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
    if (!shortened.how.empty()) read.column = column.name + ", " + std::string(shortened.how);
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

ProblemRow unusable(std::string reason) { return {.unusable = {std::move(reason)}}; }

}  // namespace

Result<ProblemRow> read_problem(const std::string& path, const FileRow& file_row,
                                WantedReference wanted, const ColumnNames& columns) {
  const Row row(path, file_row);
  auto prompt = read_prompt(row, columns.prompt);
  if (!prompt) return prompt.error();
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
    if (Status whole = check_whole(row, problem.prompt); !whole) return whole.error();
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
  const Column& column = found[0];
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
