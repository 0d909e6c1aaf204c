#include "model/data/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <vector>

#include "model/data/json_row.h"
#include "model/data/prompt_columns.h"
#include "model/data/row.h"
#include "model/data/short_answer.h"
#include "model/data/test_columns.h"
#include "model/data/whole_question.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using nlohmann::json;

constexpr std::string_view kAnswers[] = {
    "gold",   "reward_model.ground_truth", "ground_truth",   "expected_answer", "final_answer",
    "answer", "reference_answer",          "correct_answer", "gold_answer",     "golden_answers"};
constexpr std::string_view kAnswersElse[] = {"label", "target"};
constexpr std::string_view kSolutions[] = {"solution"};
constexpr std::string_view kTests[] = {"inputs", "outputs", "input_output", "test_list"};
constexpr std::string_view kResponses[] = {"response", "completion", "output"};
constexpr std::string_view kResponsesElse[] = {"answer", "solution"};

constexpr size_t kAlternativesMax = 64;

struct Answer {
  std::string gold{};  // Empty: a worked solution that does not say where its answer is.
  std::string column{};
  bool is_any_of = false;  // A list of answers, of which each is right.
};

std::optional<std::string> one_answer(const json& value) {
  if (value.is_string()) return std::string(trimmed(value.get_ref<const std::string&>()));
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return number_text(value);
}

// A list in a text, as in "[\"7\"]": some data sets write all their answers so.
const json& as_texts(const json& value, json& storage) {
  const json& list = opened(value, storage);
  const bool is_of_texts = list.is_array() && !list.empty() && list.front().is_string();
  return is_of_texts ? list : value;
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
    read.gold = to_text(json(answers));
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
    for (ColumnList names :
         {ColumnList(kAnswers), ColumnList(kAnswersElse), ColumnList(kSolutions)}) {
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
    if (Status is_told = check_no_position(row, (*answer)->gold, (*answer)->column); !is_told) {
      return is_told.error();
    }
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
  std::string empty;
  for (ColumnList names : {ColumnList(kAnswers), ColumnList(kAnswersElse), ColumnList(kSolutions),
                           ColumnList(kTests)}) {
    if (empty.empty()) empty = row.empty_column(names);
  }
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
    if (!row.empty_column(kResponses).empty() || !row.empty_column(kResponsesElse).empty()) {
      return row.error("the response is empty");
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
