#include "model/chat_template/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/chat_template/text_methods.h"

namespace troupe::model::chat_template {
namespace {

// All of Python's, so that one that is not here is an error by its name and not undefined.
constexpr std::array<std::string_view, 11> kDictMethods = {
    "clear", "copy",    "fromkeys",   "get",    "items", "keys",
    "pop",   "popitem", "setdefault", "update", "values"};
constexpr std::array<std::string_view, 11> kListMethods = {"append", "clear",   "copy",   "count",
                                                           "extend", "index",   "insert", "pop",
                                                           "remove", "reverse", "sort"};

template <size_t kCount>
bool has(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_method_of(const Value& value, std::string_view name) {
  if (value.as_text() != nullptr) return is_text_method(name);
  if (value.as_dict() != nullptr) return has(kDictMethods, name);
  const List* list = value.as_list();
  if (list == nullptr) return false;
  if (list->flavour == List::Flavour::kTuple) return name == "count" || name == "index";
  return list->flavour == List::Flavour::kList && has(kListMethods, name);
}

Value missing(const Value& value, std::string_view name) {
  return Value::undefined(fmt::format("'{}' of {}", name, value.kind()));
}

std::optional<Value> loop_attribute(Run& run, int line, const Loop& loop, std::string_view name) {
  const auto count = static_cast<int64_t>(loop.items.size());
  const auto index = static_cast<int64_t>(loop.index);
  if (name == "index0") return Value::integer(index);
  if (name == "index") return Value::integer(index + 1);
  if (name == "revindex0") return Value::integer(count - index - 1);
  if (name == "revindex") return Value::integer(count - index);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == count);
  if (name == "length") return Value::integer(count);
  if (name == "depth0") return Value::integer(0);
  if (name == "depth") return Value::integer(1);
  if (name == "previtem") {
    return index == 0 ? Value::undefined("'loop.previtem' of the first element")
                      : loop.items[loop.index - 1];
  }
  if (name == "nextitem") {
    return index + 1 == count ? Value::undefined("'loop.nextitem' of the last element")
                              : loop.items[loop.index + 1];
  }
  return run.fail(line, fmt::format("'loop.{}' is not known", name));
}

// An index from the end where it is negative.
std::optional<size_t> place_in(size_t size, int64_t index) {
  const auto count = static_cast<int64_t>(size);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return std::nullopt;
  return static_cast<size_t>(index);
}

std::optional<Value> element_of(Run& run, int line, const Value& value, const Value& key) {
  if (const Dict* dict = value.as_dict()) {
    if (!run.spend(line, 1 + dict->items.size() / 8)) return std::nullopt;
    const Value* found = dict->find(key);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  if (!key.is_integer() && key.as_boolean() == nullptr) return std::nullopt;
  if (const List* list = value.as_list()) {
    if (list->flavour == List::Flavour::kView || list->flavour == List::Flavour::kIterator) {
      return std::nullopt;
    }
    const auto at = place_in(list->items.size(), key.to_integer());
    return at ? std::optional(list->items[*at]) : std::nullopt;
  }
  if (const Text* text = value.as_text()) {
    if (!run.spend(line, 1 + text->size() / 8)) return std::nullopt;
    const auto begins = character_begins(text->bytes());
    const auto at = place_in(begins.size() - 1, key.to_integer());
    if (!at) return std::nullopt;
    return Value::text(text->part(begins[*at], begins[*at + 1] - begins[*at]));
  }
  return std::nullopt;
}

// Which elements a slice has, by Python's rules for bounds that lie outside.
std::vector<size_t> places_of(const SliceBounds& bounds, size_t size) {
  const auto count = static_cast<int64_t>(size);
  const bool is_back = bounds.step < 0;
  const auto clamp = [&](std::optional<int64_t> bound, int64_t otherwise) {
    if (!bound) return otherwise;
    const int64_t at = *bound < 0 ? *bound + count : *bound;
    return std::clamp<int64_t>(at, is_back ? -1 : 0, is_back ? count - 1 : count);
  };
  const int64_t begin = clamp(bounds.begin, is_back ? count - 1 : 0);
  const int64_t end = clamp(bounds.end, is_back ? -1 : count);
  std::vector<size_t> places;
  // A step beyond the size ends after one element; it must not overflow.
  const int64_t step = std::clamp<int64_t>(bounds.step, -count - 1, count + 1);
  for (int64_t at = begin; is_back ? at > end : at < end; at += step) {
    places.push_back(static_cast<size_t>(at));
  }
  return places;
}

Value call_dict_method(Run& run, const Dict& dict, const Method& method,
                       const Arguments& arguments) {
  const int line = arguments.line;
  std::vector<const Value*> values;
  if (method.name == "get") {
    if (!assign(run, arguments, "'get'", {"key", "default"}, values)) return {};
    if (values[0] == nullptr) return run.fail(line, "'get' has no key");
    const Value* found = dict.find(*values[0]);
    if (found != nullptr) return *found;
    return values[1] == nullptr ? Value::none() : *values[1];
  }
  if (!assign(run, arguments, fmt::format("'{}'", method.name), {}, values)) return {};
  if (method.name == "copy") return method.self;
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    if (method.name == "keys") items.push_back(key);
    if (method.name == "values") items.push_back(value);
    if (method.name == "items") {
      items.push_back(run.list(line, {key, value}, List::Flavour::kTuple));
    }
  }
  return run.list(line, std::move(items), List::Flavour::kView);
}

Value call_list_method(Run& run, const List& list, const Method& method,
                       const Arguments& arguments) {
  const int line = arguments.line;
  std::vector<const Value*> values;
  if (method.name == "copy") {
    return assign(run, arguments, "'copy'", {}, values) ? method.self : Value();
  }
  const std::string what = fmt::format("'{}'", method.name);
  if (!assign(run, arguments, what, {"value"}, values)) return {};
  if (values[0] == nullptr) return run.fail(line, what + " has no value to look for");
  if (!run.spend(line, list.weight)) return {};
  const auto is_it = [&](const Value& item) { return is_equal(item, *values[0]); };
  if (method.name == "count") {
    return Value::integer(std::count_if(list.items.begin(), list.items.end(), is_it));
  }
  const auto found = std::find_if(list.items.begin(), list.items.end(), is_it);
  if (found == list.items.end()) return run.fail(line, "'index': the list has no such element");
  return Value::integer(found - list.items.begin());
}

}  // namespace

Value attribute_of(Run& run, int line, const Value& value, const std::string& name) {
  if (!run.spend(line)) return {};
  if (value.is_undefined()) return run.fail_undefined(line, value);
  if (const Loop* loop = value.as_loop()) return *loop_attribute(run, line, *loop, name);
  if (Namespace* space = value.as_namespace()) {
    const Value* found = space->find(name);
    return found == nullptr ? missing(value, name) : *found;
  }
  if (is_method_of(value, name)) return Value::method(value, name);
  const auto found = element_of(run, line, value, Value::own(name));
  return found ? *found : missing(value, name);
}

Value item_of(Run& run, int line, const Value& value, const Value& key) {
  if (!run.spend(line)) return {};
  if (value.is_undefined()) return run.fail_undefined(line, value);
  if (const auto found = element_of(run, line, value, key)) return *found;
  const Text* name = key.as_text();
  if (name == nullptr) {
    return Value::undefined(fmt::format("an element of {}", value.kind()));
  }
  if (value.as_dict() == nullptr) return attribute_of(run, line, value, name->bytes());
  return is_method_of(value, name->bytes()) ? Value::method(value, name->bytes())
                                            : missing(value, name->bytes());
}

Value slice_of(Run& run, int line, const Value& value, const SliceBounds& bounds) {
  if (!run.spend(line)) return {};
  if (value.is_undefined()) return run.fail_undefined(line, value);
  if (bounds.step == 0) return run.fail(line, "the step of a slice is 0");
  if (const Text* text = value.as_text()) {
    if (!run.spend(line, text->size() / 8)) return {};
    const auto begins = character_begins(text->bytes());
    const auto places = places_of(bounds, begins.size() - 1);
    Text made;
    made.is_markup = text->is_markup;
    for (size_t at : places) made.append(*text, begins[at], begins[at + 1] - begins[at]);
    return Value::text(std::move(made));
  }
  const List* list = value.as_list();
  if (list == nullptr || list->flavour == List::Flavour::kView ||
      list->flavour == List::Flavour::kIterator) {
    return run.fail(line, fmt::format("{} cannot be sliced", value.kind()));
  }
  std::vector<Value> items;
  for (size_t at : places_of(bounds, list->items.size())) items.push_back(list->items[at]);
  return run.list(line, std::move(items), list->flavour);
}

Value call_method(Run& run, const Method& method, const Arguments& arguments) {
  if (!run.spend(arguments.line, 1 + method.self.weight())) return {};
  if (const Text* text = method.self.as_text()) {
    return call_text_method(run, *text, method.name, arguments);
  }
  constexpr std::array<std::string_view, 7> kKnown = {"get",  "items", "keys", "values",
                                                      "copy", "count", "index"};
  if (!has(kKnown, method.name)) {
    return run.fail(arguments.line, fmt::format("'{}' changes {}, which a chat template cannot do",
                                                method.name, method.self.kind()));
  }
  if (const Dict* dict = method.self.as_dict()) {
    return call_dict_method(run, *dict, method, arguments);
  }
  return call_list_method(run, *method.self.as_list(), method, arguments);
}

}  // namespace troupe::model::chat_template
