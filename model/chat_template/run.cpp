#include "model/chat_template/run.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/chat_template/lexer.h"

namespace troupe::model::chat_template {

bool Run::spend(int line, size_t steps) {
  if (has_failed_) return false;
  if (steps > static_cast<size_t>(steps_left_)) {
    fail(line, "the template does too much for one prompt");
    return false;
  }
  steps_left_ -= static_cast<int64_t>(steps);
  return true;
}

bool Run::can_hold(int line, size_t text_bytes) {
  if (text_bytes > kTextBytesMax) fail(line, "a text becomes too long");
  return spend(line, 1 + text_bytes / 32);
}

bool Run::can_hold_items(int line, size_t num_items) {
  if (num_items > kItemsMax) fail(line, "a list becomes too long");
  return spend(line, 1 + 4 * num_items);
}

bool Run::can_search(int line, size_t text_bytes, size_t piece_bytes) {
  return spend(line, 1 + text_bytes / 64 + text_bytes / 64 * (piece_bytes / 64));
}

Value Run::fail(int line, std::string_view what) {
  if (!has_failed_) {
    has_failed_ = true;
    error_ = error_at(line, what);
  }
  return {};
}

Value Run::fail_undefined(int line, const Value& value) {
  return fail(line, value.what() + " is not defined");
}

Value Run::raise(int line, std::string_view text) {
  return fail(line, fmt::format("the template refuses this conversation: {}", text));
}

Value Run::list(int line, std::vector<Value> items, List::Flavour flavour) {
  if (!can_hold_items(line, items.size())) return {};
  Value made = Value::list(std::move(items), flavour);
  if (made.depth() <= kValueDepthMax && made.weight() <= kValueWeightMax) return made;
  return fail(line, "a list holds too much");
}

Value Run::dict(int line, std::vector<std::pair<Value, Value>> items) {
  // Finding a key looks at all of them.
  if (!can_hold_items(line, items.size()) || !spend(line, items.size() * items.size() / 8)) {
    return {};
  }
  for (const auto& [key, value] : items) {
    if (key.is_number() || key.as_text() != nullptr || key.is_none()) continue;
    return fail(line, fmt::format("the key of a dict cannot be {}", key.kind()));
  }
  Value made = Value::dict(std::move(items));
  if (made.depth() <= kValueDepthMax && made.weight() <= kValueWeightMax) return made;
  return fail(line, "a dict holds too much");
}

bool assign(Run& run, const Arguments& arguments, std::string_view what,
            std::initializer_list<std::string_view> parameters, std::vector<const Value*>& values) {
  values.assign(parameters.size(), nullptr);
  if (arguments.positional.size() > parameters.size()) {
    run.fail(arguments.line, fmt::format("{} takes {} arguments at most, not {}", what,
                                         parameters.size(), arguments.positional.size()));
    return false;
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* found = std::find(parameters.begin(), parameters.end(), name);
    const auto index = static_cast<size_t>(found - parameters.begin());
    if (found == parameters.end() || values[index] != nullptr) {
      run.fail(arguments.line, fmt::format("{}: the argument '{}' is not known", what, name));
      return false;
    }
    values[index] = &value;
  }
  return !run.has_failed();
}

std::vector<Value> characters_of(const Text& text) {
  const auto begins = character_begins(text.bytes());
  std::vector<Value> characters;
  for (size_t i = 0; i + 1 < begins.size(); ++i) {
    characters.push_back(Value::text(text.part(begins[i], begins[i + 1] - begins[i])));
  }
  return characters;
}

bool items_of(Run& run, int line, const Value& value, std::vector<Value>& items) {
  items.clear();
  if (const Text* text = value.as_text()) {
    if (!run.can_hold_items(line, text->size())) return false;
    items = characters_of(*text);
  } else if (const List* list = value.as_list()) {
    if (!run.can_hold_items(line, list->items.size())) return false;
    items.assign(list->items.begin() + static_cast<ptrdiff_t>(list->num_taken), list->items.end());
    if (list->flavour == List::Flavour::kIterator) list->num_taken = list->items.size();
  } else if (const Dict* dict = value.as_dict()) {
    if (!run.can_hold_items(line, dict->items.size())) return false;
    for (const auto& item : dict->items) items.push_back(item.first);
  } else if (!value.is_undefined()) {
    run.fail(line, fmt::format("{} has no elements to go through", value.kind()));
  }
  return !run.has_failed();
}

}  // namespace troupe::model::chat_template
