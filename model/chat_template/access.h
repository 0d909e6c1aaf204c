// What is in a value: attributes, elements, slices, and its own functions.
#pragma once

#include <optional>
#include <string_view>

#include "model/chat_template/run.h"

namespace troupe::model::chat_template {

// value.name and value[key], as Jinja looks for them: what is not there is undefined, and of an
// undefined value it is an error.
Value attribute_of(Run& run, int line, const Value& value, const std::string& name);
Value item_of(Run& run, int line, const Value& value, const Value& key);

// value[begin:end:step] of a text or list.
struct SliceBounds {
  std::optional<int64_t> begin{};
  std::optional<int64_t> end{};
  int64_t step = 1;
};
Value slice_of(Run& run, int line, const Value& value, const SliceBounds& bounds);

// Calls the method that attribute_of gave.
Value call_method(Run& run, const Method& method, const Arguments& arguments);

}  // namespace troupe::model::chat_template
