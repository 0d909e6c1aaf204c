// What an expression of a chat template can be. Values do not change once they are made, except
// namespaces, which is what templates have them for.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/chat_template/text.h"

namespace troupe::model::chat_template {

class Value;
struct Statement;

struct List;
struct Dict;
struct Namespace;
struct Loop;

enum class ListFlavour : uint8_t {
  kList,
  kTuple,
  kRange,
  kView,      // Of a dict: has a length, but no elements by number.
  kIterator,  // What map, select and their kin give: can be gone through once.
};

// A value's own function, by name.
struct Method;

enum class Function : uint8_t { kRange, kNamespace, kDict, kRaiseException };

struct Nothing {
  bool operator==(const Nothing&) const = default;
};

// A name or element that is not there. It prints as nothing; most else that is done with it is an
// error that says what was missing.
struct Undefined {
  std::shared_ptr<const std::string> what{};
};

class Value {
 public:
  Value() = default;
  static Value undefined(std::string what);
  static Value none() { return Value(State(Nothing())); }
  static Value boolean(bool value) { return Value(State(value)); }
  static Value integer(int64_t value) { return Value(State(value)); }
  static Value number(double value) { return Value(State(value)); }
  static Value text(Text value);
  static Value own(std::string_view bytes) { return text(Text::own(bytes)); }
  static Value list(std::vector<Value> items, ListFlavour flavour = ListFlavour::kList);
  static Value dict(std::vector<std::pair<Value, Value>> items);
  static Value of(Namespace* space) { return Value(State(space)); }
  static Value of(std::shared_ptr<Loop> loop) { return Value(State(std::move(loop))); }
  static Value of(Function function) { return Value(State(function)); }
  static Value macro(const Statement* macro) { return Value(State(macro)); }
  static Value method(Value self, std::string name);

  bool is_undefined() const { return std::holds_alternative<Undefined>(state_); }
  bool is_none() const { return std::holds_alternative<Nothing>(state_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(state_); }
  bool is_number() const;  // Integers, floats and truth values.
  const bool* as_boolean() const { return std::get_if<bool>(&state_); }
  const double* as_float() const { return std::get_if<double>(&state_); }
  const Text* as_text() const;
  const List* as_list() const;
  const Dict* as_dict() const;
  Namespace* as_namespace() const;
  Loop* as_loop() const;
  const Method* as_method() const;
  const Statement* as_macro() const;
  const Function* as_function() const { return std::get_if<Function>(&state_); }

  // Truth values are 0 and 1 too. Zero where it is no number.
  int64_t to_integer() const;  // No float.
  double to_float() const;

  bool is_true() const;
  int depth() const;
  size_t weight() const;
  const char* kind() const;         // "a text", for messages.
  const std::string& what() const;  // Of an undefined one.

 private:
  using State = std::variant<Undefined, Nothing, bool, int64_t, double, std::shared_ptr<const Text>,
                             std::shared_ptr<const List>, std::shared_ptr<const Dict>, Namespace*,
                             std::shared_ptr<Loop>, const Statement*, std::shared_ptr<const Method>,
                             Function>;

  explicit Value(State state) : state_(std::move(state)) {}

  State state_{};
};

struct List {
  using Flavour = ListFlavour;

  std::vector<Value> items{};
  Flavour flavour = Flavour::kList;
  int depth = 1;
  size_t weight = 1;
  mutable size_t num_taken = 0;  // Of an iterator.
};

struct Dict {
  std::vector<std::pair<Value, Value>> items{};  // In the order in which they were put.
  int depth = 1;
  size_t weight = 1;

  const Value* find(const Value& key) const;
};

// Lives as long as the rendering.
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes{};

  Value* find(std::string_view name);
};

struct Loop {
  std::vector<Value> items{};
  size_t index = 0;
  int depth = 1;    // Of the items.
  int nesting = 0;  // Loops around this one.
};

struct Method {
  Value self{};
  std::string name{};
};

// How deep lists and dicts may lie in each other, and what one may weigh: a list in which the same
// list is twice, and so on, is small to make and endless to go through. Who makes one looks.
inline constexpr int kValueDepthMax = 64;
inline constexpr size_t kValueWeightMax = 1 << 21;

// As Python compares: numbers by value, lists and dicts by their elements.
bool is_equal(const Value& a, const Value& b);

// Where both are numbers, texts or lists. Nothing where Python has no order for them.
enum class Order : uint8_t { kLess, kEqual, kGreater, kNone };
Order order_of(const Value& a, const Value& b);

// Texts in `json` are somebody else's, the roles of messages excepted, which are checked elsewhere.
Value value_of(const nlohmann::ordered_json& json, bool is_foreign);

}  // namespace troupe::model::chat_template
