#include "actors/verifier/code/code_layouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "actors/verifier/code/row_fields.h"
#include "actors/verifier/code/test_lists.h"

namespace troupe::actors {
namespace {

using Kind = Value::Kind;
using Tests = std::optional<LaidOutTests>;
using Found = Result<Tests>;

Error inside(std::string_view where, const Error& error) {
  return {error.code, fmt::format("{}: {}", where, error.message)};
}

Found read_inputs(const RowFields& fields, std::optional<CodeFormat> format) {
  // One of the two alone is a column of something else.
  const bool has_results = fields.has("outputs") || fields.has("checker");
  if (!fields.has("inputs") || !has_results) return Tests();
  LaidOutTests found{.layout = "inputs"};
  CodeTask& task = found.task;
  const bool is_any = !format || (*format != CodeFormat::kStdio && *format != CodeFormat::kJudge &&
                                  *format != CodeFormat::kFunction);
  if (is_any && fields.has("fn_name")) task.format = CodeFormat::kFunction;
  if (is_any && fields.has("checker")) task.format = CodeFormat::kJudge;
  if (!is_any) task.format = *format;
  if (task.format == CodeFormat::kFunction) {
    if (Status status = fields.text("fn_name", task.function, true); !status) return status.error();
  }
  if (task.format == CodeFormat::kJudge) {
    if (!fields.has("checker")) return invalid_argument("the field checker is missing");
    for (const auto& [field, to] : {std::pair{"checker", &task.checker},
                                    std::pair{"checker_language", &task.checker_language}}) {
      if (Status status = fields.text(field, *to, false); !status) return status.error();
    }
  }
  if (Status status = read_two_lists(fields, "inputs", "outputs", task); !status) {
    return status.error();
  }
  return Tests(std::move(found));
}

Found read_test_list(const RowFields& fields) {
  if (!fields.has("test_list")) return Tests();
  LaidOutTests found{.layout = "test_list"};
  CodeTask& task = found.task;
  task.format = CodeFormat::kMbpp;
  std::vector<std::string> before;
  for (const char* field : {"test_imports", "test_setup_code"}) {
    if (Status status = fields.texts(field, before, false); !status) return status.error();
  }
  for (const std::string& source : before) task.before_tests += source + "\n";
  if (Status status = fields.texts("test_list", task.test_sources, true); !status) {
    return status.error();
  }
  return Tests(std::move(found));
}

// Test functions beside an entry point, and no check() for it.
bool is_for_pytest(const RowFields& fields) {
  const Value* test = fields.find("test");
  if (!test || test->kind != Kind::kText || !has_test_functions(test->text)) return false;
  return !fields.has("entry_point") || test->text.find("def check(") == std::string::npos;
}

Found read_entry_point(const RowFields& fields) {
  if (!fields.has("entry_point") || is_for_pytest(fields)) return Tests();
  LaidOutTests found{.layout = "entry_point"};
  CodeTask& task = found.task;
  task.format = CodeFormat::kHumanEval;
  task.test_sources.resize(1);
  for (const auto& [field, to] :
       {std::pair{"prompt", &task.prompt}, std::pair{"test", &task.test_sources[0]},
        std::pair{"entry_point", &task.function}}) {
    if (Status status = fields.text(field, *to, true); !status) return status.error();
  }
  return Tests(std::move(found));
}

Found read_test(const RowFields& fields) {
  if (!is_for_pytest(fields)) return Tests();
  LaidOutTests found{.layout = "test"};
  CodeTask& task = found.task;
  task.format = CodeFormat::kPytest;
  task.test_sources = {fields.find("test")->text};
  if (!fields.has("entry_point")) return Tests(std::move(found));
  if (Status status = fields.text("entry_point", task.function, true); !status) {
    return status.error();
  }
  // The prompt may be a question; where it is the beginning of the program, that may use it.
  const Value* prompt = fields.find("prompt");
  const bool is_code = prompt && prompt->kind == Kind::kText &&
                       prompt->text.find("def " + task.function + "(") != std::string::npos;
  if (is_code) task.prompt = prompt->text;
  return Tests(std::move(found));
}

Found read_object(const RowFields& fields, std::string_view layout) {
  const Value* value = fields.find(layout);
  if (!value) return Tests();
  LaidOutTests found{.layout = std::string(layout)};
  const Value object = unpacked(*value);
  auto is_read = read_test_list_of_any_kind(object, CaseDefaults{}, found.task);
  if (!is_read) return inside(layout, is_read.error());
  if (*is_read) return Tests(std::move(found));
  return invalid_argument(fmt::format(
      "{} has neither inputs and outputs nor a list of tests, but {}", layout, described(object)));
}

// The function's name is in a column of its own, or only in the code to begin with.
Result<CaseDefaults> function_of_row(const RowFields& fields) {
  CaseDefaults defaults;
  if (fields.has("fn_name")) {
    if (Status status = fields.text("fn_name", defaults.function, true); !status) {
      return status.error();
    }
  }
  if (const Value* metadata = fields.find("metadata"); metadata && defaults.function.empty()) {
    const Value object = unpacked(*metadata);
    const Value* name = object.find("func_name");
    if (name && name->kind == Kind::kText) defaults.function = name->text;
  }
  const Value* starter = fields.find("starter_code");
  if (starter && starter->kind == Kind::kText) defaults.starter_code = starter->text;
  return defaults;
}

Found read_public_test_cases(const RowFields& fields) {
  const Value* given = fields.find("public_test_cases");
  const Value* hidden = fields.find("private_test_cases");
  if (!given && !hidden) return Tests();
  auto defaults = function_of_row(fields);
  if (!defaults) return defaults.error();
  LaidOutTests found{.layout = "public_test_cases"};
  Value all = Value::list({});
  for (const auto& [field, value] :
       {std::pair{"public_test_cases", given}, std::pair{"private_test_cases", hidden}}) {
    if (!value) continue;
    Value list = unpacked(*value);
    if (list.kind != Kind::kList) {
      const bool is_packed = value == hidden && list.kind == Kind::kText;
      return invalid_argument(fmt::format(
          "{} is no list, but {}{}", field, described(list),
          is_packed ? "; the packed form (a pickle) is not read, because unpacking it runs code: "
                      "write the tests as JSON, or leave the column out to judge by "
                      "public_test_cases alone"
                    : ""));
    }
    for (Value& item : list.items) all.items.push_back(std::move(item));
  }
  auto is_read = read_test_list_of_any_kind(all, *defaults, found.task);
  if (!is_read) return inside("public_test_cases", is_read.error());
  if (!*is_read) {
    return invalid_argument("public_test_cases: the items have no input and output");
  }
  return Tests(std::move(found));
}

Found read_verification_info(const RowFields& fields) {
  const Value* value = fields.find("verification_info");
  if (!value) return Tests();
  const Value object = unpacked(*value);
  const RowFields inner(object);
  const Value* cases = inner.find("test_cases");
  if (!cases) return Tests();  // A verdict's facts on something else.
  LaidOutTests found{.layout = "verification_info"};
  if (Status status = inner.text("language", found.language, false); !status) {
    return inside(found.layout, status.error());
  }
  auto defaults = function_of_row(inner);
  if (!defaults) return inside(found.layout, defaults.error());
  auto is_read = read_test_list_of_any_kind(unpacked(*cases), *defaults, found.task);
  if (!is_read) return inside("verification_info.test_cases", is_read.error());
  if (!*is_read) {
    return invalid_argument(
        fmt::format("verification_info.test_cases is no list of tests, but {}", described(*cases)));
  }
  return Tests(std::move(found));
}

// Columns that other rows have too, so what is no list of tests is none.
Found read_cases(const RowFields& fields, std::string_view layout) {
  const Value* value = fields.find(layout);
  if (!value) return Tests();
  auto defaults = function_of_row(fields);
  if (!defaults) return defaults.error();
  LaidOutTests found{.layout = std::string(layout)};
  auto is_read = read_test_list_of_any_kind(unpacked(*value), *defaults, found.task);
  if (!is_read) return inside(layout, is_read.error());
  if (!*is_read) return Tests();
  return Tests(std::move(found));
}

Found read_contest(const RowFields& fields) {
  LaidOutTests found{.layout = "public_tests"};
  bool is_any = false;
  for (const char* field : {"public_tests", "private_tests", "generated_tests"}) {
    const Value* value = fields.find(field);
    if (!value) continue;
    const Value object = unpacked(*value);
    if (object.kind != Kind::kDictionary && object.kind != Kind::kList) continue;
    is_any = true;
    // No tests of one of the three kinds.
    const RowFields inner(object);
    if (object.kind == Kind::kDictionary && !inner.has("input") && !inner.has("output")) continue;
    CodeTask part;
    auto is_read = read_test_list_of_any_kind(object, CaseDefaults{}, part);
    if (!is_read) return inside(field, is_read.error());
    if (!*is_read) {
      return invalid_argument(fmt::format("{} has no lists input and output", field));
    }
    if (part.format != CodeFormat::kStdio) {
      return invalid_argument(fmt::format("{} has something else than input and output", field));
    }
    std::move(part.tests.begin(), part.tests.end(), std::back_inserter(found.task.tests));
  }
  if (!is_any) return Tests();
  if (found.task.tests.empty() || found.task.tests.size() > kCodeTestsMax) {
    return invalid_argument(
        fmt::format("public_tests, private_tests and generated_tests have {} tests; 1 to {} are "
                    "allowed",
                    found.task.tests.size(), kCodeTestsMax));
  }
  return Tests(std::move(found));
}

// ground_truth, or reward_model.ground_truth, is a row of its own, or a list of tests.
Found read_ground_truth(const Value& row) {
  const RowFields fields(row);
  const Value* value = fields.find("ground_truth");
  Value model;
  if (!value && fields.has("reward_model")) {
    model = unpacked(*fields.find("reward_model"));
    value = RowFields(model).find("ground_truth");
  }
  if (!value) return Tests();
  const Value inner = unpacked(*value);
  LaidOutTests found{.layout = "ground_truth"};
  if (inner.kind == Kind::kList || inner.kind == Kind::kText) {
    auto defaults = function_of_row(fields);
    if (!defaults) return defaults.error();
    auto is_read = read_test_list_of_any_kind(inner, *defaults, found.task);
    if (!is_read) return inside("ground_truth", is_read.error());
    if (!*is_read) return Tests();
    return Tests(std::move(found));
  }
  // One level is enough for every set, and bounds the work.
  if (inner.kind != Kind::kDictionary || !is_empty(inner.find("ground_truth"))) return Tests();
  auto all = find_tests(inner, {});
  if (!all) return inside("ground_truth", all.error());
  if (all->empty()) return Tests();
  auto chosen = choose_tests(inner, {});
  if (!chosen) return inside("ground_truth", chosen.error());
  chosen->layout = "ground_truth";
  const RowFields inner_fields(inner);
  if (chosen->language.empty()) {
    if (Status status = inner_fields.text("language", chosen->language, false); !status) {
      return inside("ground_truth", status.error());
    }
  }
  return Tests(std::move(*chosen));
}

// Of each test what makes it the one that it is.
std::set<std::string> identities(const CodeTask& task) {
  const auto trimmed = [](std::string_view text) {
    text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    return std::string(text);
  };
  std::set<std::string> all;
  for (const CodeTest& test : task.tests) {
    all.insert(task.format == CodeFormat::kFunction
                   ? encode(Value::list(test.arguments)) + encode(test.result)
                   : trimmed(test.input) + '\0' + trimmed(test.output));
  }
  for (const std::string& source : task.test_sources) all.insert(trimmed(source));
  return all;
}

bool has_all_of(const LaidOutTests& more, const LaidOutTests& less) {
  const CodeTask &a = more.task, &b = less.task;
  if (a.format != b.format || a.function != b.function || a.checker != b.checker) return false;
  const auto of_a = identities(a), of_b = identities(b);
  return std::includes(of_a.begin(), of_a.end(), of_b.begin(), of_b.end());
}

constexpr std::string_view kColumns[] = {
    "inputs",     "outputs",  "input_output",      "test_list",         "entry_point",
    "test",       "tests",    "public_test_cases", "verification_info", "test_cases",
    "unit_tests", "examples", "official_tests",    "public_tests",      "ground_truth"};

Error no_tests(const Value& row) {
  std::string there;
  for (const std::string_view column : kColumns) {
    const Value* value = row.find(column);
    if (value == nullptr || value->kind == Kind::kNull) continue;
    there += fmt::format("{}{} is {}", there.empty() ? "" : ", ", column,
                         is_empty(value) ? "empty" : described(*value));
  }
  return invalid_argument(fmt::format(
      "no tests{}; they are wanted as inputs and outputs, test_list, or another known layout "
      "(columns {})",
      there.empty() ? "" : ": " + there, fmt::join(kColumns, ", ")));
}

}  // namespace

Result<std::vector<LaidOutTests>> find_tests(const Value& row, std::optional<CodeFormat> format) {
  const RowFields fields(row);
  std::vector<LaidOutTests> all;
  std::vector<Found> found;
  found.push_back(read_inputs(fields, format));
  found.push_back(read_object(fields, "input_output"));
  found.push_back(read_test_list(fields));
  found.push_back(read_entry_point(fields));
  found.push_back(read_test(fields));
  found.push_back(read_public_test_cases(fields));
  found.push_back(read_verification_info(fields));
  for (const char* layout : {"tests", "test_cases", "official_tests", "unit_tests", "examples"}) {
    found.push_back(read_cases(fields, layout));
  }
  found.push_back(read_contest(fields));
  found.push_back(read_ground_truth(row));
  for (Found& one : found) {
    if (!one) return one.error();
    if (*one) all.push_back(std::move(**one));
  }
  return all;
}

Result<LaidOutTests> choose_tests(const Value& row, std::optional<CodeFormat> format) {
  auto found = find_tests(row, format);
  if (!found) return found.error();
  std::vector<LaidOutTests> fitting;
  for (LaidOutTests& tests : *found) {
    const bool fits = !format || tests.task.format == *format;
    if (fits) fitting.push_back(std::move(tests));
  }
  if (fitting.empty()) {
    if (found->empty()) return no_tests(row);
    return invalid_argument(fmt::format("the tests in {} are not of the format that the row names",
                                        found->front().layout));
  }
  size_t best = 0;
  for (size_t i = 1; i < fitting.size(); ++i) {
    if (has_all_of(fitting[best], fitting[i])) continue;
    if (!has_all_of(fitting[i], fitting[best])) {
      return invalid_argument(fmt::format(
          "the tests in {} and in {} differ; leave one of the columns out, or name the format",
          fitting[best].layout, fitting[i].layout));
    }
    best = i;
  }
  return std::move(fitting[best]);
}

}  // namespace troupe::actors
