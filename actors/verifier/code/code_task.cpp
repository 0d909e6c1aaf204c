#include "actors/verifier/code/code_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "actors/verifier/code/language.h"

namespace troupe::actors {
namespace {

using Kind = Value::Kind;

constexpr std::string_view kFormats[] = {"humaneval", "mbpp", "stdio", "function", "judge"};

std::optional<double> number(const Value& value) {
  if (value.kind == Kind::kReal) return value.real;
  if (value.kind == Kind::kInteger && value.text.size() < 16) {
    return std::strtod(value.text.c_str(), nullptr);
  }
  return {};
}

class Reader {
 public:
  explicit Reader(const Value& object) : object_(object) {}

  bool has(std::string_view field) const { return object_.find(field) != nullptr; }

  Status text(std::string_view field, std::string& to, bool is_needed) const {
    const Value* value = object_.find(field);
    if (!value || (value->kind == Kind::kNull && !is_needed)) {
      return is_needed ? missing(field) : ok();
    }
    if (value->kind != Kind::kText) return invalid_argument(fmt::format("{} is no text", field));
    to = value->text;
    return ok();
  }

  Status number_between(std::string_view field, double low, double high, double& to) const {
    const Value* value = object_.find(field);
    if (!value || value->kind == Kind::kNull) return ok();
    const auto read = number(*value);
    if (!read || !(*read >= low && *read <= high)) {
      return invalid_argument(fmt::format("{} is not a number from {} to {}", field, low, high));
    }
    to = *read;
    return ok();
  }

  // A list of sources, or one alone.
  Status texts(std::string_view field, std::vector<std::string>& to, bool is_needed) const {
    const Value* value = object_.find(field);
    if (!value || (value->kind == Kind::kNull && !is_needed)) {
      return is_needed ? missing(field) : ok();
    }
    if (value->kind == Kind::kText) {
      to.push_back(value->text);
      return ok();
    }
    if (value->kind != Kind::kList) return invalid_argument(fmt::format("{} is no list", field));
    for (const Value& item : value->items) {
      if (item.kind != Kind::kText) {
        return invalid_argument(fmt::format("{} has something that is no text", field));
      }
      to.push_back(item.text);
    }
    return ok();
  }

  Result<const Value*> list(std::string_view field) const {
    const Value* value = object_.find(field);
    if (!value) return missing(field).error();
    if (value->kind != Kind::kList) return invalid_argument(fmt::format("{} is no list", field));
    if (value->items.empty() || value->items.size() > kCodeTestsMax) {
      return invalid_argument(fmt::format("{} has {} items; 1 to {} are allowed", field,
                                          value->items.size(), kCodeTestsMax));
    }
    return value;
  }

 private:
  static Status missing(std::string_view field) {
    return invalid_argument(fmt::format("the field {} is missing", field));
  }
  const Value& object_;
};

Result<CodeFormat> format_of(const Reader& fields) {
  std::string name;
  if (Status status = fields.text("format", name, false); !status) return status.error();
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    if (name == kFormats[i]) return static_cast<CodeFormat>(i);
  }
  if (!name.empty()) {
    return invalid_argument(fmt::format("format is not one of {}", fmt::join(kFormats, ", ")));
  }
  if (fields.has("entry_point")) return CodeFormat::kHumanEval;
  if (fields.has("test_list")) return CodeFormat::kMbpp;
  if (fields.has("checker")) return CodeFormat::kJudge;
  if (fields.has("fn_name")) return CodeFormat::kFunction;
  return CodeFormat::kStdio;
}

// Text as it is; a list of lines joined; a number as it is written.
std::optional<std::string> stream_text(const Value& value) {
  if (value.kind == Kind::kText || value.kind == Kind::kInteger) return value.text;
  if (value.kind != Kind::kList) return {};
  std::string text;
  for (const Value& line : value.items) {
    if (line.kind != Kind::kText) return {};
    text += line.text + "\n";
  }
  return text;
}

Status read_streams(const Reader& fields, CodeTask& task) {
  auto inputs = fields.list("inputs");
  if (!inputs) return inputs.error();
  const bool is_judged = task.format == CodeFormat::kJudge;
  const Value* outputs = nullptr;
  if (!is_judged || fields.has("outputs")) {
    auto list = fields.list("outputs");
    if (!list) return list.error();
    outputs = *list;
    if (outputs->items.size() != (*inputs)->items.size()) {
      return invalid_argument("inputs and outputs differ in number");
    }
  }
  for (size_t i = 0; i < (*inputs)->items.size(); ++i) {
    const auto input = stream_text((*inputs)->items[i]);
    const auto output = outputs ? stream_text(outputs->items[i]) : std::string();
    if (!input || !output) {
      return invalid_argument(fmt::format("inputs or outputs: item {} is no text", i));
    }
    task.tests.push_back({.input = *input, .output = *output});
  }
  return ok();
}

// LiveCodeBench writes the arguments as JSON texts, one a line; APPS as a list.
Result<std::vector<Value>> arguments(const Value& input) {
  if (input.kind == Kind::kList) return input.items;
  if (input.kind != Kind::kText) return invalid_argument("neither a list nor lines of JSON");
  std::vector<Value> values;
  std::string_view rest = input.text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    auto value = value_from_json(line);
    if (!value) return value.error();
    values.push_back(std::move(*value));
  }
  return values;
}

Status read_calls(const Reader& fields, CodeTask& task) {
  if (Status status = fields.text("fn_name", task.function, true); !status) return status;
  auto inputs = fields.list("inputs");
  if (!inputs) return inputs.error();
  auto outputs = fields.list("outputs");
  if (!outputs) return outputs.error();
  if ((*outputs)->items.size() != (*inputs)->items.size()) {
    return invalid_argument("inputs and outputs differ in number");
  }
  // One result that is no list of one means that none is wrapped.
  const bool is_wrapped = std::all_of(
      (*outputs)->items.begin(), (*outputs)->items.end(),
      [](const Value& output) { return output.kind == Kind::kList && output.items.size() == 1; });
  for (size_t i = 0; i < (*inputs)->items.size(); ++i) {
    CodeTest test;
    const Value& input = (*inputs)->items[i];
    const Value& output = (*outputs)->items[i];
    auto read = arguments(input);
    if (!read) {
      return invalid_argument(fmt::format("inputs: item {}: {}", i, read.error().message));
    }
    test.arguments = std::move(*read);
    if (input.kind == Kind::kText && output.kind == Kind::kText) {
      auto result = value_from_json(output.text);
      if (!result) {
        return invalid_argument(fmt::format("outputs: item {}: {}", i, result.error().message));
      }
      test.result = std::move(*result);
    } else {
      test.result = output;
      test.has_unwrapped_result = is_wrapped && input.kind == Kind::kList;
    }
    task.tests.push_back(std::move(test));
  }
  return ok();
}

Status read_tests(const Reader& fields, CodeTask& task) {
  switch (task.format) {
    case CodeFormat::kHumanEval: {
      task.test_sources.resize(1);
      if (Status status = fields.text("prompt", task.prompt, true); !status) return status;
      if (Status status = fields.text("test", task.test_sources[0], true); !status) return status;
      return fields.text("entry_point", task.function, true);
    }
    case CodeFormat::kMbpp: {
      std::vector<std::string> before;
      if (Status status = fields.texts("test_imports", before, false); !status) return status;
      if (Status status = fields.texts("test_setup_code", before, false); !status) return status;
      for (const std::string& source : before) task.before_tests += source + "\n";
      if (Status status = fields.texts("test_list", task.test_sources, true); !status) {
        return status;
      }
      return task.test_sources.empty() ? invalid_argument("test_list is empty") : ok();
    }
    case CodeFormat::kStdio:
      return read_streams(fields, task);
    case CodeFormat::kFunction:
      return read_calls(fields, task);
    case CodeFormat::kJudge: {
      if (Status status = fields.text("checker", task.checker, true); !status) return status;
      if (Status status = fields.text("checker_language", task.checker_language, false); !status) {
        return status;
      }
      if (!find_language(task.checker_language)) {
        return invalid_argument("checker_language is not known");
      }
      return read_streams(fields, task);
    }
  }
  return ok();
}

}  // namespace

Result<CodeTask> read_code_task(const Value& object, const CodeTask& defaults) {
  if (object.kind != Kind::kDictionary) return invalid_argument("not a JSON object");
  const Reader fields(object);
  CodeTask task = defaults;
  auto format = format_of(fields);
  if (!format) return format.error();
  task.format = *format;
  if (Status status = fields.text("language", task.language, false); !status) {
    return status.error();
  }
  const Language* language = find_language(task.language);
  if (!language) {
    std::vector<std::string_view> names;
    for (const Language& known : languages()) names.push_back(known.name);
    return invalid_argument(fmt::format("language is not one of {}", fmt::join(names, ", ")));
  }
  const bool is_program = task.format == CodeFormat::kStdio || task.format == CodeFormat::kJudge;
  if (!language->has_functions && !is_program) {
    return invalid_argument(fmt::format("format {} is not there for language {}",
                                        kFormats[static_cast<size_t>(task.format)], task.language));
  }
  double memory_mb = static_cast<double>(task.memory_mb);
  if (Status status = fields.number_between("seconds", 0.01, kCodeSecondsMax, task.seconds);
      !status) {
    return status.error();
  }
  if (Status status =
          fields.number_between("memory_mb", kCodeMemoryMbMin, kCodeMemoryMbMax, memory_mb);
      !status) {
    return status.error();
  }
  task.memory_mb = static_cast<int64_t>(memory_mb);
  if (Status status = read_tests(fields, task); !status) return status.error();
  return task;
}

}  // namespace troupe::actors
