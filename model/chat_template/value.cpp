#include "model/chat_template/value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace troupe::model::chat_template {
namespace {

// What is in a list or dict counts for it.
template <class Container>
void add_depth_and_weight(Container& to, const Value& item) {
  to.depth = std::max(to.depth, item.depth() + 1);
  to.weight = std::min(to.weight + item.weight(), 2 * kValueWeightMax);
}

bool is_equal(const List& a, const List& b) {
  // Python's lists, tuples and ranges differ from each other whatever is in them.
  if (a.flavour != b.flavour) return false;
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [](const Value& x, const Value& y) { return chat_template::is_equal(x, y); });
}

bool is_equal(const Dict& a, const Dict& b) {
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&b](const auto& item) {
           const Value* other = b.find(item.first);
           return other != nullptr && chat_template::is_equal(item.second, *other);
         });
}

template <class T>
Order order(const T& a, const T& b) {
  return a < b ? Order::kLess : b < a ? Order::kGreater : a == b ? Order::kEqual : Order::kNone;
}

}  // namespace

const Value* Dict::find(const Value& key) const {
  for (const auto& [its_key, value] : items) {
    if (is_equal(its_key, key)) return &value;
  }
  return nullptr;
}

Value* Namespace::find(std::string_view name) {
  for (auto& [its_name, value] : attributes) {
    if (its_name == name) return &value;
  }
  return nullptr;
}

Value Value::undefined(std::string what) {
  return Value(State(Undefined{std::make_shared<const std::string>(std::move(what))}));
}

Value Value::text(Text value) {
  return Value(State(std::make_shared<const Text>(std::move(value))));
}

Value Value::list(std::vector<Value> items, List::Flavour flavour) {
  auto made = std::make_shared<List>();
  for (const Value& item : items) add_depth_and_weight(*made, item);
  made->items = std::move(items);
  made->flavour = flavour;
  return Value(State(std::shared_ptr<const List>(std::move(made))));
}

Value Value::dict(std::vector<std::pair<Value, Value>> items) {
  auto made = std::make_shared<Dict>();
  // A key that is there again keeps its place and gets the later value.
  for (auto& [key, value] : items) {
    add_depth_and_weight(*made, key);
    add_depth_and_weight(*made, value);
    const Value* found = made->find(key);
    if (found != nullptr) {
      *const_cast<Value*>(found) = std::move(value);
    } else {
      made->items.emplace_back(std::move(key), std::move(value));
    }
  }
  return Value(State(std::shared_ptr<const Dict>(std::move(made))));
}

Value Value::method(Value self, std::string name) {
  return Value(State(std::make_shared<const Method>(Method{std::move(self), std::move(name)})));
}

bool Value::is_number() const {
  return is_integer() || as_boolean() != nullptr || as_float() != nullptr;
}

const Text* Value::as_text() const {
  const auto* found = std::get_if<std::shared_ptr<const Text>>(&state_);
  return found == nullptr ? nullptr : found->get();
}

const List* Value::as_list() const {
  const auto* found = std::get_if<std::shared_ptr<const List>>(&state_);
  return found == nullptr ? nullptr : found->get();
}

const Dict* Value::as_dict() const {
  const auto* found = std::get_if<std::shared_ptr<const Dict>>(&state_);
  return found == nullptr ? nullptr : found->get();
}

Namespace* Value::as_namespace() const {
  const auto* found = std::get_if<Namespace*>(&state_);
  return found == nullptr ? nullptr : *found;
}

Loop* Value::as_loop() const {
  const auto* found = std::get_if<std::shared_ptr<Loop>>(&state_);
  return found == nullptr ? nullptr : found->get();
}

const Method* Value::as_method() const {
  const auto* found = std::get_if<std::shared_ptr<const Method>>(&state_);
  return found == nullptr ? nullptr : found->get();
}

const Statement* Value::as_macro() const {
  const auto* found = std::get_if<const Statement*>(&state_);
  return found == nullptr ? nullptr : *found;
}

int64_t Value::to_integer() const {
  if (const bool* truth = as_boolean()) return *truth ? 1 : 0;
  return is_integer() ? std::get<int64_t>(state_) : 0;
}

double Value::to_float() const {
  if (const double* number = as_float()) return *number;
  return static_cast<double>(to_integer());
}

bool Value::is_true() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return to_float() != 0;
  if (const Text* text = as_text()) return !text->empty();
  if (const List* list = as_list()) {
    return list->flavour == List::Flavour::kIterator || !list->items.empty();
  }
  if (const Dict* dict = as_dict()) return !dict->items.empty();
  return true;
}

int Value::depth() const {
  if (const List* list = as_list()) return list->depth;
  if (const Dict* dict = as_dict()) return dict->depth;
  if (const Loop* loop = as_loop()) return loop->depth + 1;
  if (const Method* method = as_method()) return method->self.depth() + 1;
  return 0;
}

size_t Value::weight() const {
  if (const Text* text = as_text()) return 1 + text->size() / 64;
  if (const List* list = as_list()) return list->weight;
  if (const Dict* dict = as_dict()) return dict->weight;
  if (const Method* method = as_method()) return method->self.weight() + 1;
  return 1;
}

const char* Value::kind() const {
  if (is_undefined()) return "nothing that is defined";
  if (is_none()) return "none";
  if (as_boolean() != nullptr) return "a truth value";
  if (is_number()) return "a number";
  if (as_text() != nullptr) return "a text";
  if (const List* list = as_list()) {
    return list->flavour == List::Flavour::kIterator ? "what a filter gives one by one" : "a list";
  }
  if (as_dict() != nullptr) return "a dict";
  if (as_namespace() != nullptr) return "a namespace";
  return "a function";
}

const std::string& Value::what() const {
  static const std::string kNothing = "a value";
  const auto* undefined = std::get_if<Undefined>(&state_);
  return undefined == nullptr || undefined->what == nullptr ? kNothing : *undefined->what;
}

bool is_equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.as_float() == nullptr && b.as_float() == nullptr) return a.to_integer() == b.to_integer();
    return a.to_float() == b.to_float();
  }
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    return a.as_text()->bytes() == b.as_text()->bytes();
  }
  if (a.as_list() != nullptr && b.as_list() != nullptr) return is_equal(*a.as_list(), *b.as_list());
  if (a.as_dict() != nullptr && b.as_dict() != nullptr) return is_equal(*a.as_dict(), *b.as_dict());
  if (a.is_undefined() || a.is_none()) {
    return a.is_undefined() == b.is_undefined() && a.is_none() == b.is_none();
  }
  if (a.as_namespace() != nullptr) return a.as_namespace() == b.as_namespace();
  if (a.as_macro() != nullptr) return a.as_macro() == b.as_macro();
  return false;
}

Order order_of(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.as_float() == nullptr && b.as_float() == nullptr) {
      return order(a.to_integer(), b.to_integer());
    }
    return order(a.to_float(), b.to_float());
  }
  // Bytes of UTF-8 are in the order of the characters.
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    return order(a.as_text()->bytes(), b.as_text()->bytes());
  }
  if (a.as_list() == nullptr || b.as_list() == nullptr ||
      a.as_list()->flavour != b.as_list()->flavour) {
    return Order::kNone;
  }
  const auto& x = a.as_list()->items;
  const auto& y = b.as_list()->items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!is_equal(x[i], y[i])) return order_of(x[i], y[i]);
  }
  return order(x.size(), y.size());
}

Value value_of(const nlohmann::ordered_json& json, bool is_foreign) {
  if (json.is_boolean()) return Value::boolean(json.get<bool>());
  if (json.is_number_float()) return Value::number(json.get<double>());
  if (json.is_number()) return Value::integer(json.get<int64_t>());
  if (json.is_string()) {
    const auto& bytes = json.get_ref<const std::string&>();
    return Value::text(is_foreign ? Text::foreign(bytes) : Text::own(bytes));
  }
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(value_of(item, is_foreign));
    return Value::list(std::move(items));
  }
  if (json.is_object()) {
    std::vector<std::pair<Value, Value>> items;
    for (const auto& [key, value] : json.items()) {
      const bool is_role = key == "role" && value.is_string();
      items.emplace_back(Value::text(is_foreign ? Text::foreign(key) : Text::own(key)),
                         value_of(value, is_foreign && !is_role));
    }
    return Value::dict(std::move(items));
  }
  return Value::none();
}

}  // namespace troupe::model::chat_template
