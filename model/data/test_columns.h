// Which rows hold the tests of a programming problem, told by their columns' names and shapes. What
// the tests say is for whoever runs them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "model/data/prompt_template.h"

namespace troupe::model {

inline constexpr std::string_view kTestForms =
    "test + entry_point | test_list | inputs + outputs | input_output | public_test_cases | "
    "verification_info | tests | test_cases | unit_tests | examples | public_tests | ground_truth";

// The columns that hold a row's tests, as in "inputs + outputs"; empty where it has none. Columns
// that other rows have too (inputs, tests, examples, ground_truth) count by their shape only. With
// `by_hand`, only those that include that column.
std::string test_columns(const nlohmann::json& row, std::string_view by_hand = {});

// Whether one value, an object or its JSON text, is tests in one of the forms.
bool is_test_column(const nlohmann::json& value);

// What the policy must know to write a program that the tests call: a starter_code that does not
// stand in the prompt is put behind it.
void add_starter_code(const nlohmann::json& row, Prompt& prompt);

}  // namespace troupe::model
