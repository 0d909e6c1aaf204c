#include "actors/verifier/code/test_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace troupe::actors {
namespace {

using Kind = Value::Kind;

constexpr std::string_view kInputs[] = {"input", "inputs", "stdin"};
constexpr std::string_view kOutputs[] = {"output",          "outputs",          "stdout",
                                         "expected_output", "expected_outputs", "expected"};

// Text as it is; a list of lines joined; a number or a Boolean as JSON writes it.
std::optional<std::string> stream_text(const Value& value) {
  switch (value.kind) {
    case Kind::kText:
    case Kind::kInteger:
    case Kind::kReal:
      return value.text;
    case Kind::kBool:
      return value.boolean ? "true" : "false";
    default:
      break;
  }
  if (value.kind != Kind::kList) return {};
  std::string text;
  for (const Value& line : value.items) {
    if (line.kind == Kind::kList) return {};
    const auto one = stream_text(line);
    if (!one) return {};
    text += *one + "\n";
  }
  return text;
}

// Lines of JSON, one for each argument, or a list of them.
Result<std::vector<Value>> arguments(const Value& input) {
  if (input.kind == Kind::kList) return input.items;
  if (input.kind == Kind::kDictionary) {
    return invalid_argument("arguments by name are not read; write a list in their order");
  }
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

struct Pair {
  const Value* input = nullptr;
  const Value* output = nullptr;  // nullptr: a checker decides.
};

Status read_streams(const std::vector<Pair>& pairs, CodeTask& task) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    CodeTest test;
    for (const auto& [what, value, to] : {std::tuple{"input", pairs[i].input, &test.input},
                                          std::tuple{"output", pairs[i].output, &test.output}}) {
      if (value == nullptr) continue;
      auto text = stream_text(*value);
      if (!text) {
        return invalid_argument(
            fmt::format("the {} of item {} is no text, but {}", what, i, described(*value)));
      }
      *to = std::move(*text);
    }
    task.tests.push_back(std::move(test));
  }
  return ok();
}

Status read_calls(const std::vector<Pair>& pairs, CodeTask& task) {
  // One result that is no list of one means that none is wrapped.
  const bool is_wrapped = std::all_of(pairs.begin(), pairs.end(), [](const Pair& pair) {
    return pair.output->kind == Kind::kList && pair.output->items.size() == 1;
  });
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Value &input = *pairs[i].input, &output = *pairs[i].output;
    CodeTest test;
    auto read = arguments(input);
    if (!read) {
      return invalid_argument(fmt::format("the input of item {}: {}", i, read.error().message));
    }
    test.arguments = std::move(*read);
    if (input.kind == Kind::kText && output.kind == Kind::kText) {
      auto result = value_from_json(output.text);
      if (!result) {
        return invalid_argument(
            fmt::format("the output of item {}: {}", i, result.error().message));
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

Status read_pairs(const std::vector<Pair>& pairs, CodeTask& task) {
  return task.format == CodeFormat::kFunction ? read_calls(pairs, task) : read_streams(pairs, task);
}

bool is_name_part(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The name of the only function that the code begins; empty where there are none or several.
std::string only_function(std::string_view code) {
  constexpr std::string_view kDef = "def ";
  std::string name;
  for (size_t at = code.find(kDef); at != code.npos; at = code.find(kDef, at + 1)) {
    if (at > 0 && is_name_part(code[at - 1])) continue;
    size_t end = at + kDef.size();
    while (end < code.size() && is_name_part(code[end])) ++end;
    const std::string_view found = code.substr(at + kDef.size(), end - at - kDef.size());
    if (found == "__init__") continue;
    if (!name.empty()) return {};
    name = found;
  }
  return name;
}

enum class CaseType : uint8_t { kNotSaid, kStdio, kFunction };

Result<CaseType> type_of(const RowFields& fields) {
  for (const char* field : {"type", "testtype", "test_type"}) {
    const Value* value = fields.find(field);
    if (!value) continue;
    if (value->kind == Kind::kText) {
      const std::string& text = value->text;
      if (text == "stdin" || text.starts_with("stdin_") || text.starts_with("stdin-") ||
          text == "stdio") {
        return CaseType::kStdio;
      }
      if (text.starts_with("function")) return CaseType::kFunction;
    }
    return invalid_argument(
        fmt::format("{} is none of stdin, stdin_stdout, functional and "
                    "function_call, but {}",
                    field, described(*value)));
  }
  return CaseType::kNotSaid;
}

// Reads a list whose first item is an object with an input and an output.
class CaseList {
 public:
  CaseList(const CaseDefaults& defaults, CodeTask& task) : task_(task) {
    function_ = defaults.function;
    starter_code_ = defaults.starter_code;
  }

  Status read(const std::vector<Value>& items) {
    if (items.size() > kCodeTestsMax) {
      return invalid_argument(
          fmt::format("{} items; 1 to {} are allowed", items.size(), kCodeTestsMax));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      if (Status status = add(items[i]); !status) {
        return invalid_argument(fmt::format("item {}: {}", i, status.error().message));
      }
    }
    if (type_ == CaseType::kFunction && function_.empty()) function_ = only_function(starter_code_);
    if (type_ == CaseType::kFunction && function_.empty()) {
      return invalid_argument(
          "the tests call a function that nothing names; there is no fn_name, no "
          "metadata.func_name and no single function in starter_code");
    }
    const bool is_function =
        type_ == CaseType::kFunction || (type_ == CaseType::kNotSaid && !function_.empty());
    task_.format = is_function ? CodeFormat::kFunction : CodeFormat::kStdio;
    if (is_function) task_.function = function_;
    return read_pairs(pairs_, task_);
  }

 private:
  Status add(const Value& item) {
    if (item.kind != Kind::kDictionary) {
      return invalid_argument("no object with an input and an output, but " + described(item));
    }
    const RowFields fields(item);
    const auto input = fields.first_of(kInputs), output = fields.first_of(kOutputs);
    if (!input || !output) {
      return invalid_argument(input ? "it has no output" : "it has no input");
    }
    auto type = type_of(fields);
    if (!type) return type.error();
    if (!pairs_.empty() && *type != type_) {
      return invalid_argument("it is of another type than the items before it");
    }
    type_ = *type;
    std::string name;
    if (Status status = fields.text("fn_name", name, false); !status) return status;
    if (!name.empty()) {
      if (!function_.empty() && function_ != name) {
        return invalid_argument("its fn_name is another than before: " + name);
      }
      function_ = name;
    }
    pairs_.push_back({item.find(*input), item.find(*output)});
    return ok();
  }

  CodeTask& task_;
  std::string function_{};
  std::string starter_code_{};
  CaseType type_ = CaseType::kNotSaid;
  std::vector<Pair> pairs_{};
};

bool begins_with_assert(const Value& value) {
  if (value.kind != Kind::kText) return false;
  const size_t at = value.text.find_first_not_of(" \t\r\n");
  return at != std::string::npos && std::string_view(value.text).substr(at).starts_with("assert");
}

bool has_line_beginning(std::string_view code, std::string_view with) {
  for (size_t at = code.find(with); at != code.npos; at = code.find(with, at + 1)) {
    const size_t before = code.find_last_not_of(" \t", at == 0 ? code.npos : at - 1);
    if (at == 0 || before == code.npos || code[before] == '\n') return true;
  }
  return false;
}

}  // namespace

bool has_test_functions(std::string_view code) { return has_line_beginning(code, "def test_"); }

Status read_two_lists(const RowFields& fields, std::string_view inputs, std::string_view outputs,
                      CodeTask& task) {
  auto input_list = fields.list(inputs);
  if (!input_list) return input_list.error();
  std::vector<Pair> pairs;
  for (const Value& input : input_list->items) pairs.push_back({&input, nullptr});
  Value output_list;
  if (task.format != CodeFormat::kJudge || fields.has(outputs)) {
    auto list = fields.list(outputs);
    if (!list) return list.error();
    output_list = std::move(*list);
    if (output_list.items.size() != pairs.size()) {
      return invalid_argument(fmt::format("{} and {} differ in number: {} and {}", inputs, outputs,
                                          pairs.size(), output_list.items.size()));
    }
    for (size_t i = 0; i < pairs.size(); ++i) pairs[i].output = &output_list.items[i];
  }
  if (Status status = read_pairs(pairs, task); !status) {
    return invalid_argument(fmt::format("{} and {}: {}", inputs, outputs, status.error().message));
  }
  return ok();
}

Result<bool> read_test_list_of_any_kind(const Value& value, const CaseDefaults& defaults,
                                        CodeTask& task) {
  if (value.kind == Kind::kDictionary) {
    const RowFields fields(value);
    const auto inputs = fields.first_of(kInputs), outputs = fields.first_of(kOutputs);
    if (!inputs || !outputs) return false;
    task.function = defaults.function;
    if (Status status = fields.text("fn_name", task.function, false); !status) {
      return status.error();
    }
    task.format = task.function.empty() ? CodeFormat::kStdio : CodeFormat::kFunction;
    if (Status status = read_two_lists(fields, *inputs, *outputs, task); !status) {
      return status.error();
    }
    return true;
  }
  if (value.kind == Kind::kText && has_test_functions(value.text)) {
    task.format = CodeFormat::kPytest;
    task.test_sources = {value.text};
    return true;
  }
  if (value.kind == Kind::kText && has_line_beginning(value.text, "assert ")) {
    task.format = CodeFormat::kMbpp;
    task.test_sources = {value.text};
    return true;
  }
  if (value.kind != Kind::kList || value.items.empty()) return false;
  const Value& first = value.items[0];
  if (begins_with_assert(first)) {
    task.format = CodeFormat::kMbpp;
    for (size_t i = 0; i < value.items.size(); ++i) {
      if (value.items[i].kind != Kind::kText) {
        return invalid_argument(
            fmt::format("item {} is no text, but {}", i, described(value.items[i])));
      }
      task.test_sources.push_back(value.items[i].text);
    }
    return true;
  }
  const RowFields fields(first);
  if (!fields.first_of(kInputs) || !fields.first_of(kOutputs)) return false;
  CaseList list(defaults, task);
  if (Status status = list.read(value.items); !status) return status.error();
  return true;
}

}  // namespace troupe::actors
