#include "model/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>
#include <utility>

#include "kernels/random.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

using nlohmann::json;

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const unsigned lead = byte(i);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (length > 1) {
      if (lead < 0xC2 || lead > 0xF4) return false;
      for (size_t j = 1; j < length; ++j) {
        if ((byte(i + j) & 0xC0) != 0x80) return false;
      }
      // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
      const unsigned second = byte(i + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// One row and where it is, for its error messages.
struct Row {
  const std::string& path;
  int64_t line;
  json object{};
  std::string_view text{};  // As it is written; lives as long as the row is read.

  Error error(std::string_view what) const {
    return invalid_argument(fmt::format("{}:{}: {}", path, line, what));
  }

  struct Column {
    std::string name{};
    const json* value = nullptr;
  };

  // The first of the given columns that is there; a dot descends into an object.
  Result<Column> column(std::initializer_list<const char*> names) const {
    for (std::string_view name : names) {
      const json* value = &object;
      for (size_t begin = 0; value && begin <= name.size();) {
        const size_t end = std::min(name.find('.', begin), name.size());
        const auto found = value->is_object()
                               ? value->find(std::string(name.substr(begin, end - begin)))
                               : value->end();
        value = value->is_object() && found != value->end() ? &*found : nullptr;
        begin = end + 1;
      }
      if (value) return Column{std::string(name), value};
    }
    std::string found;
    for (const auto& [name, value] : object.items()) {
      if (found.size() < 200) found += (found.empty() ? "" : ", ") + name;
    }
    return error(fmt::format("no column {}; found: {}",
                             fmt::join(names.begin(), names.end(), " | "),
                             found.empty() ? "none" : found));
  }

  Error wrong_type(const Column& column, std::string_view wanted) const {
    return error(fmt::format("column '{}' is {} {}, expected {}", column.name,
                             column.value->is_array() || column.value->is_object() ? "an" : "a",
                             column.value->type_name(), wanted));
  }

  Result<Prompt> messages(const Column& column) const {
    Prompt prompt;
    for (const json& item : *column.value) {
      const auto role = item.is_object() ? item.find("role") : item.end();
      const auto content = item.is_object() ? item.find("content") : item.end();
      if (!item.is_object() || role == item.end() || content == item.end() || !role->is_string() ||
          !content->is_string()) {
        return error(
            fmt::format("column '{}': a message is not {{\"role\": text, \"content\": "
                        "text}}",
                        column.name));
      }
      prompt.push_back({role->get<std::string>(), content->get<std::string>()});
      const std::string& name = prompt.back().role;
      if (name != "system" && name != "user" && name != "assistant") {
        return error(
            fmt::format("column '{}': unknown role; known: system, user, assistant", column.name));
      }
    }
    if (prompt.empty()) return error(fmt::format("column '{}' has no messages", column.name));
    return prompt;
  }

  Result<Prompt> prompt() const {
    auto found = column({"prompt", "question", "text"});
    if (!found) return found.error();
    if (found->value->is_array()) return messages(*found);
    if (!found->value->is_string()) return wrong_type(*found, "text or a list of messages");
    Prompt prompt = {{"user", found->value->get<std::string>()}};
    if (prompt[0].content.empty()) return error(fmt::format("column '{}' is empty", found->name));
    return prompt;
  }
};

// HumanEval's columns, MBPP's, and those of problems with inputs and outputs.
bool has_tests(const json& row) {
  return (row.contains("test") && row.contains("entry_point")) || row.contains("test_list") ||
         row.contains("inputs");
}

Result<Problem> problem(const Row& row) {
  auto prompt = row.prompt();
  if (!prompt) return prompt.error();
  // Whoever judges programs reads the row again: here digits of large numbers are lost.
  if (!row.object.contains("gold") && has_tests(row.object)) {
    return Problem{std::move(*prompt), std::string(row.text), row.line};
  }
  auto column =
      row.column({"gold", "reward_model.ground_truth", "ground_truth", "solution", "answer"});
  if (!column) return column.error();
  // Integers only: the digits of a JSON fraction are lost in the parser.
  const json& value = *column->value;
  if (!value.is_string() && !value.is_number_integer()) {
    return row.wrong_type(*column, "text or an integer");
  }
  std::string gold(trimmed(value.is_string() ? value.get<std::string>() : value.dump()));
  const size_t mark = column->name == "answer" ? gold.rfind("####") : gold.npos;
  if (mark != gold.npos) {
    gold = trimmed(std::string_view(gold).substr(mark + 4));
    std::erase(gold, ',');
  }
  if (gold.empty()) return row.error(fmt::format("column '{}' holds no answer", column->name));
  return Problem{std::move(*prompt), std::move(gold), row.line};
}

Result<Demonstration> demonstration(const Row& row) {
  Prompt prompt;
  std::string response;
  if (auto list = row.object.find("messages"); list != row.object.end()) {
    const Row::Column column{"messages", &*list};
    if (!list->is_array()) return row.wrong_type(column, "a list of messages");
    auto messages = row.messages(column);
    if (!messages) return messages.error();
    prompt = std::move(*messages);
    if (prompt.size() < 2 || prompt.back().role != "assistant") {
      return row.error("column 'messages' does not end with the assistant's answer to a prompt");
    }
    response = std::move(prompt.back().content);
    prompt.pop_back();
  } else {
    auto read = row.prompt();
    if (!read) return read.error();
    prompt = std::move(*read);
    auto column = row.column({"response", "completion", "answer"});
    if (!column) return column.error();
    if (column->value->is_array()) {
      auto messages = row.messages(*column);
      if (!messages) return messages.error();
      if (messages->size() != 1 || messages->front().role != "assistant") {
        return row.error(
            fmt::format("column '{}' is not one message of the assistant", column->name));
      }
      response = std::move(messages->front().content);
    } else if (column->value->is_string()) {
      response = column->value->get<std::string>();
    } else {
      return row.wrong_type(*column, "text");
    }
  }
  if (response.empty()) return row.error("the response is empty");
  return Demonstration{std::move(prompt), std::move(response), row.line};
}

// Whether the file begins as Parquet files do. It is at its beginning again.
bool is_parquet(std::ifstream& file) {
  std::array<char, 4> magic{};
  file.read(magic.data(), magic.size());
  const bool is_magic = file.gcount() == 4 && std::string_view(magic.data(), 4) == "PAR1";
  file.clear();
  file.seekg(0);
  return is_magic;
}

// The command is to be pasted, so a path that a shell or Python reads otherwise is not put in.
std::string how_to_convert(const std::string& path) {
  const bool is_plain = path.find_first_of("'\"\\$`\n") == std::string::npos;
  const std::filesystem::path from = is_plain ? path : "x.parquet";
  std::filesystem::path to = from;
  return fmt::format(
      "is a Parquet file; convert it: python3 -c \"import pandas; "
      "pandas.read_parquet('{}').to_json('{}', orient='records', lines=True)\"",
      from.string(), to.replace_extension(".jsonl").string());
}

template <class Item>
Result<std::vector<Item>> load(const std::string& path, Result<Item> (*read)(const Row&)) {
  const auto failed = [&](std::string_view what) {
    return invalid_argument(fmt::format("{}: {}", path, what));
  };
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return failed("no such file");
  if (std::filesystem::is_directory(path, ignored)) return failed("is a folder, not a file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return failed("cannot be opened for reading");
  // Only where reading can begin again: not from a pipe.
  if (std::filesystem::is_regular_file(path, ignored) && is_parquet(file)) {
    return failed(how_to_convert(path));
  }

  std::vector<Item> items;
  std::vector<char> buffer(kDatasetLineBytesMax + 1);  // One more for getline's terminator.
  for (int64_t line = 1; file.peek() != std::ifstream::traits_type::eof(); ++line) {
    Row row{path, line};
    file.getline(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    if (file.fail()) {
      return row.error(fmt::format("the line is longer than {} bytes", kDatasetLineBytesMax));
    }
    // gcount includes the newline, which the last line may lack.
    const size_t size = static_cast<size_t>(file.gcount()) - (file.eof() ? 0 : 1);
    const std::string_view text = trimmed({buffer.data(), size});
    if (text.empty()) continue;
    if (!is_utf8(text)) return row.error("not valid UTF-8; convert the file to UTF-8");
    row.object = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!row.object.is_object()) return row.error("not a JSON object; expected one per line");
    row.text = text;
    auto item = read(row);
    if (!item) return item.error();
    items.push_back(std::move(*item));
  }
  if (file.bad()) return failed("reading failed");
  if (items.empty()) return failed("has no rows");
  return items;
}

}  // namespace

Result<std::vector<Problem>> load_problems(const std::string& path) {
  return load<Problem>(path, problem);
}

Result<std::vector<Demonstration>> load_demonstrations(const std::string& path) {
  return load<Demonstration>(path, demonstration);
}

DrawOrder::DrawOrder(Options options) : options_(options) { TROUPE_CHECK(options.count > 0); }

int64_t DrawOrder::at(int64_t draw) {
  TROUPE_CHECK(draw >= 0);
  const int64_t place = draw % options_.count;
  if (!options_.shuffle) return place;
  const int64_t epoch = draw / options_.count;
  if (epoch != epoch_) {
    kernels::RandomStream random(options_.seed, kernels::StreamId::kShuffle,
                                 static_cast<uint64_t>(epoch), options_.deck);
    permutation_.resize(static_cast<size_t>(options_.count));
    std::iota(permutation_.begin(), permutation_.end(), int64_t{0});
    for (size_t i = permutation_.size() - 1; i > 0; --i) {
      std::swap(permutation_[i], permutation_[random.below(i + 1)]);
    }
    epoch_ = epoch;
  }
  return permutation_[static_cast<size_t>(place)];
}

PromptOrder::PromptOrder(Options options)
    : options_(options),
      order_({options.seed, DrawOrder::kTrainDeck, options.count, options.shuffle}) {
  TROUPE_CHECK(options.prompts_per_round > 0);
}

int64_t PromptOrder::at(int64_t round, int64_t ordinal) {
  TROUPE_CHECK(round >= 0 && round <= UINT32_MAX);
  TROUPE_CHECK(ordinal >= 0 && ordinal <= UINT32_MAX);
  if (ordinal < options_.prompts_per_round) {
    return order_.at(round * options_.prompts_per_round + ordinal);
  }
  kernels::RandomStream random(options_.seed, kernels::StreamId::kReplacement,
                               static_cast<uint64_t>(round) << 32 | static_cast<uint64_t>(ordinal));
  return static_cast<int64_t>(random.below(static_cast<uint64_t>(options_.count)));
}

}  // namespace troupe::model
