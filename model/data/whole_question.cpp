#include "model/data/whole_question.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/data/json_row.h"
#include "model/data/prompt_columns.h"

namespace troupe::model {
namespace {

using nlohmann::json;

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

}  // namespace

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

Status check_no_position(const Row& row, std::string_view gold, std::string_view answer_column) {
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
        gold, name_of(answer_column), name_of(column.name)));
  }
  return ok();
}

}  // namespace troupe::model
