#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "model/chat_template/filters.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/syntax.h"
#include "model/chat_template/text_methods.h"

namespace troupe::model::chat_template {
namespace {

bool is_sequence(const Value& value) {
  const List* list = value.as_list();
  if (list != nullptr) {
    return list->flavour != List::Flavour::kView && list->flavour != List::Flavour::kIterator;
  }
  // Jinja asks for a length and for elements, which what is undefined has in its way.
  return value.is_undefined() || value.as_text() != nullptr || value.as_dict() != nullptr;
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.as_text() != nullptr || value.as_list() != nullptr ||
         value.as_dict() != nullptr || value.as_loop() != nullptr;
}

bool is_callable(const Value& value) {
  return value.as_method() != nullptr || value.as_macro() != nullptr ||
         value.as_function() != nullptr || value.is_undefined();
}

// Tests that need nothing but the value; nothing for another name.
std::optional<bool> kind_test(const Value& value, std::string_view name) {
  const bool* truth = value.as_boolean();
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "string") return value.as_text() != nullptr;
  if (name == "mapping") return value.as_dict() != nullptr;
  if (name == "sequence") return is_sequence(value);
  if (name == "iterable") return is_iterable(value);
  if (name == "number") return value.is_number();
  if (name == "integer") return value.is_integer();
  if (name == "float") return value.as_float() != nullptr;
  if (name == "boolean") return truth != nullptr;
  if (name == "true") return truth != nullptr && *truth;
  if (name == "false") return truth != nullptr && !*truth;
  if (name == "callable") return is_callable(value);
  if (name == "escaped") return value.as_text() != nullptr && value.as_text()->is_markup;
  return std::nullopt;
}

std::optional<Operator> comparison_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Operator>, 17> kNames = {
      {{"eq", Operator::kEqual},
       {"equalto", Operator::kEqual},
       {"==", Operator::kEqual},
       {"ne", Operator::kNotEqual},
       {"!=", Operator::kNotEqual},
       {"lt", Operator::kLess},
       {"lessthan", Operator::kLess},
       {"<", Operator::kLess},
       {"le", Operator::kLessEqual},
       {"<=", Operator::kLessEqual},
       {"gt", Operator::kGreater},
       {"greaterthan", Operator::kGreater},
       {">", Operator::kGreater},
       {"ge", Operator::kGreaterEqual},
       {">=", Operator::kGreaterEqual},
       {"in", Operator::kIn},
       {"sameas", Operator::kEqual}}};
  const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                   [&](const auto& entry) { return entry.first == name; });
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

// Python's `is` of what is one object wherever it is.
bool is_same(Run& run, int line, const Value& a, const Value& b) {
  if ((a.as_boolean() != nullptr || a.is_none()) && (b.as_boolean() != nullptr || b.is_none())) {
    return a.is_none() == b.is_none() && is_equal(a, b);
  }
  run.fail(line, "the test 'sameas' is known for true, false and none only");
  return false;
}

bool number_test(Run& run, int line, std::string_view name, const Value& value,
                 const Value* divisor) {
  if (!value.is_number() || value.as_float() != nullptr ||
      (divisor != nullptr && (!divisor->is_integer() || divisor->to_integer() == 0))) {
    run.fail(line, fmt::format("the test '{}' needs whole numbers", name));
    return false;
  }
  const int64_t by = divisor == nullptr ? 2 : divisor->to_integer();
  const bool is_multiple = by == -1 || value.to_integer() % by == 0;
  return is_multiple != (name == "odd");
}

// Python's isupper and islower: some letter has a case, and none has the other one.
bool case_test(Run& run, int line, std::string_view name, const Value& value) {
  const Text* text = value.as_text();
  if (text == nullptr) {
    run.fail(line, fmt::format("the test '{}' needs a text", name));
    return false;
  }
  const Text same = in_case(run, line, *text, name == "upper" ? Case::kUpper : Case::kLower);
  const Text other = in_case(run, line, *text, name == "upper" ? Case::kLower : Case::kUpper);
  return same.bytes() == text->bytes() && other.bytes() != text->bytes();
}

}  // namespace

bool passes_test(Run& run, const std::string& name, const Value& value,
                 const Arguments& arguments) {
  const int line = arguments.line;
  if (!run.spend(line)) return false;
  const std::string what = fmt::format("the test '{}'", name);
  std::vector<const Value*> values;
  if (const auto holds = kind_test(value, name))
    return assign(run, arguments, what, {}, values) && *holds;
  if (name == "odd" || name == "even") {
    return assign(run, arguments, what, {}, values) && number_test(run, line, name, value, nullptr);
  }
  if (name == "upper" || name == "lower") {
    return assign(run, arguments, what, {}, values) && case_test(run, line, name, value);
  }
  const auto comparison = comparison_of(name);
  if (!comparison && name != "divisibleby") {
    run.fail(line, what + " is not known");
    return false;
  }
  if (!assign(run, arguments, what, {"other"}, values)) return false;
  if (values[0] == nullptr) {
    run.fail(line, what + " has nothing to compare with");
    return false;
  }
  if (!comparison) return number_test(run, line, name, value, values[0]);
  if (name == "sameas") return is_same(run, line, value, *values[0]);
  return holds(run, line, *comparison, value, *values[0]);
}

}  // namespace troupe::model::chat_template
