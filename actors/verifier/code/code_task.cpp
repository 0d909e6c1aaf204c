#include "actors/verifier/code/code_task.h"

#include <fmt/format.h>

#include <optional>

#include "actors/verifier/code/code_layouts.h"
#include "actors/verifier/code/language.h"
#include "actors/verifier/code/row_fields.h"

namespace troupe::actors {
namespace {

constexpr std::string_view kFormats[] = {"humaneval", "mbpp",  "stdio",
                                         "function",  "judge", "pytest"};

Result<std::optional<CodeFormat>> named_format(const RowFields& fields) {
  std::string name;
  if (Status status = fields.text("format", name, false); !status) return status.error();
  if (name.empty()) return std::optional<CodeFormat>();
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    if (name == kFormats[i]) return std::optional(static_cast<CodeFormat>(i));
  }
  return invalid_argument(
      fmt::format("format is not one of {}, but '{}'", fmt::join(kFormats, ", "), name));
}

// By name; or by number, as CodeContests has it, where 1 is Python 2 and 4 Java.
Result<const Language*> language_of(const Value& value, std::string_view field) {
  const Language* language = nullptr;
  if (value.kind == Value::Kind::kText) language = find_language(value.text);
  if (value.kind == Value::Kind::kInteger && value.text == "2") language = find_language("cpp");
  if (value.kind == Value::Kind::kInteger && value.text == "3") language = find_language("python");
  if (language) return language;
  return invalid_argument(
      fmt::format("{} is {}, not one of {}", field, described(value), language_names()));
}

// The row's, the layout's or the default's, by the table's name.
Status read_language(const RowFields& fields, const std::string& of_layout, std::string& to) {
  const Language* of_row = nullptr;
  if (const Value* value = fields.find("language")) {
    auto language = language_of(*value, "language");
    if (!language) return language.error();
    of_row = *language;
    to = of_row->name;
  }
  if (!of_layout.empty()) {
    auto language = language_of(Value::of_text(of_layout), "the language of the tests");
    if (!language) return language.error();
    if (of_row && of_row != *language) {
      return invalid_argument(fmt::format("language is {}, but that of the tests is {}",
                                          of_row->name, (*language)->name));
    }
    to = (*language)->name;
  }
  auto known = language_of(Value::of_text(to), "language");
  if (!known) return known.error();
  to = (*known)->name;
  return ok();
}

}  // namespace

Result<CodeTask> read_code_task(const Value& object, const CodeTask& defaults) {
  if (object.kind != Value::Kind::kDictionary) return invalid_argument("not a JSON object");
  const RowFields fields(object);
  auto format = named_format(fields);
  if (!format) return format.error();
  auto tests = choose_tests(object, *format);
  if (!tests) return tests.error();

  CodeTask task = std::move(tests->task);
  task.language = defaults.language;
  task.seconds = defaults.seconds;
  task.memory_mb = defaults.memory_mb;
  task.has_packages = defaults.has_packages;
  // How some sets call a method; every form of tests looks into the class by itself.
  for (const std::string_view of_class : {"Solution().", "Solution."}) {
    if (task.function.starts_with(of_class)) task.function.erase(0, of_class.size());
  }
  if (Status status = read_language(fields, tests->language, task.language); !status) {
    return status.error();
  }
  const bool is_program = task.format == CodeFormat::kStdio || task.format == CodeFormat::kJudge;
  if (!find_language(task.language)->has_functions && !is_program) {
    return invalid_argument(fmt::format("format {} is not there for language {}",
                                        kFormats[static_cast<size_t>(task.format)], task.language));
  }
  if (task.format == CodeFormat::kJudge) {
    auto language = language_of(Value::of_text(task.checker_language), "checker_language");
    if (!language) return language.error();
    task.checker_language = (*language)->name;
  }
  if (Status status = fields.number_between("seconds", 0.01, kCodeSecondsMax, task.seconds);
      !status) {
    return status.error();
  }
  double memory_mb = static_cast<double>(task.memory_mb);
  if (Status status =
          fields.number_between("memory_mb", kCodeMemoryMbMin, kCodeMemoryMbMax, memory_mb);
      !status) {
    return status.error();
  }
  task.memory_mb = static_cast<int64_t>(memory_mb);
  return task;
}

}  // namespace troupe::actors
