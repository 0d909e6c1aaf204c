#include "model/data/test_columns.h"

#include <algorithm>

#include "model/data/json_row.h"
#include "model/data/row.h"

namespace troupe::model {
namespace {

using nlohmann::json;

constexpr int kLevelsMax = 3;  // JSON in a text in JSON ...

const json* find(const json& row, const char* name) {
  const auto found = row.find(name);
  return found == row.end() || found->is_null() ? nullptr : &*found;
}

bool has_text(const json& row, const char* name) {
  const json* value = find(row, name);
  return value != nullptr && value->is_string() &&
         !trimmed(value->get_ref<const std::string&>()).empty();
}

bool is_list(const json& row, const char* name) {
  const json* value = find(row, name);
  json storage;
  if (value == nullptr) return false;
  const json& list = opened(*value, storage);
  return list.is_array() && !list.empty();
}

bool has_any(const json& object, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return find(object, name) != nullptr; });
}

constexpr auto kInputs = {"input", "stdin", "inputs"};
constexpr auto kOutputs = {"output", "stdout", "expected_output", "outputs"};

// A list of {input, output} or of assertions, or an object of parallel lists.
bool is_case_list(const json& value) {
  json storage;
  const json& cases = opened(value, storage);
  const auto is_case = [](const json& one) {
    return one.is_object() && has_any(one, kInputs) && has_any(one, kOutputs);
  };
  if (cases.is_object()) return is_case(cases);
  if (!cases.is_array() || cases.empty()) return false;
  const json& first = cases.front();
  return is_case(first) ||
         (first.is_string() && trimmed(first.get_ref<const std::string&>()).starts_with("assert"));
}

std::string columns_of(const json& row, int level);

bool is_test_value(const json& value, int level) {
  json storage;
  const json& object = opened(value, storage);
  if (object.is_object()) return !columns_of(object, level + 1).empty();
  return object.is_array() && !object.empty() && object.front().is_object() && is_case_list(object);
}

bool has_test_functions(const json& row) {
  if (!has_text(row, "test")) return false;
  const std::string& text = row["test"].get_ref<const std::string&>();
  return text.starts_with("def test_") || text.find("\ndef test_") != text.npos;
}

std::string columns_of(const json& row, int level) {
  if (level > kLevelsMax || !row.is_object()) return {};
  if (has_text(row, "test") && has_text(row, "entry_point")) return "test + entry_point";
  if (is_list(row, "test_list") || has_text(row, "test_list")) return "test_list";
  if (is_list(row, "inputs") && is_list(row, "outputs")) return "inputs + outputs";
  if (is_list(row, "inputs") && has_text(row, "checker")) return "inputs + checker";
  json storage;
  const json* packed = find(row, "input_output");
  if (packed != nullptr && opened(*packed, storage).is_object() &&
      opened(*packed, storage).contains("inputs")) {
    return "input_output";
  }
  for (const char* name : {"public_test_cases", "private_test_cases"}) {
    const json* value = find(row, name);
    if (value != nullptr && is_case_list(*value)) return name;
  }
  const json* info = find(row, "verification_info");
  if (info != nullptr && opened(*info, storage).is_object() &&
      find(opened(*info, storage), "test_cases") != nullptr) {
    return "verification_info";
  }
  for (const char* name : {"tests", "test_cases", "official_tests", "unit_tests", "public_tests",
                           "private_tests", "generated_tests", "examples"}) {
    const json* value = find(row, name);
    if (value != nullptr && is_case_list(*value)) return name;
  }
  if (has_test_functions(row)) return "test";
  if (const json* truth = find(row, "ground_truth"); truth && is_test_value(*truth, level)) {
    return "ground_truth";
  }
  const json* model = find(row, "reward_model");
  if (model != nullptr) {
    const json& object = opened(*model, storage);
    const json* truth = object.is_object() ? find(object, "ground_truth") : nullptr;
    if (truth != nullptr && is_test_value(*truth, level)) return "reward_model.ground_truth";
  }
  return {};
}

}  // namespace

std::string test_columns(const json& row, std::string_view by_hand) {
  std::string found = columns_of(row, 0);
  const bool is_meant =
      by_hand.empty() ||
      (" " + found + " ").find(" " + std::string(by_hand) + " ") != std::string::npos;
  return is_meant ? found : "";
}

bool is_test_column(const json& value) { return is_test_value(value, 0); }

void add_starter_code(const json& row, Prompt& prompt) {
  if (!has_text(row, "starter_code")) return;
  const std::string& code = row["starter_code"].get_ref<const std::string&>();
  std::string& content = prompt.back().content;
  if (content.find(trimmed(code)) == content.npos) content += "\n\n" + code;
}

}  // namespace troupe::model
