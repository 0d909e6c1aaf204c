// One rendering's means: how much more it may do, and the first thing that went wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/chat_template/value.h"
#include "schemas/result.h"

namespace troupe::model::chat_template {

inline constexpr int64_t kStepsMax = 4'000'000;
inline constexpr size_t kTextBytesMax = 1 << 25;
inline constexpr size_t kItemsMax = 100'000;  // Of a list.
inline constexpr int kDepthMax = 600;         // Of expressions, tags and macros in each other.

// After an error there is no more fuel: whatever is still evaluated is undefined, loops end, and
// the error is what the rendering gives. So nobody needs to look after every step.
class Run {
 public:
  // False where this is more than is left.
  bool spend(int line, size_t steps = 1);
  // False, with an error, where a text or list would be too long.
  bool can_hold(int line, size_t text_bytes);
  bool can_hold_items(int line, size_t num_items);

  // False where looking for the piece could take too long.
  bool can_search(int line, size_t text_bytes, size_t piece_bytes);

  Value fail(int line, std::string_view what);
  // "'x' is not defined", for what cannot be done with nothing.
  Value fail_undefined(int line, const Value& value);
  // `text` was raised by the template itself.
  Value raise(int line, std::string_view text);

  bool has_failed() const { return has_failed_; }
  const Error& error() const { return error_; }

  // Lists and dicts, unless they would be too deep or heavy.
  Value list(int line, std::vector<Value> items, List::Flavour flavour = List::Flavour::kList);
  Value dict(int line, std::vector<std::pair<Value, Value>> items);

 private:
  int64_t steps_left_ = kStepsMax;
  bool has_failed_ = false;
  Error error_{};
};

// What a function, filter or test is called with, the value it belongs to excepted.
struct Arguments {
  int line = 0;
  std::vector<Value> positional{};
  std::vector<std::pair<std::string, Value>> named{};

  bool empty() const { return positional.empty() && named.empty(); }
};

// The arguments by the names of the parameters; null for those that are not given. False, with an
// error that names `what`, for an argument too many or with another name.
bool assign(Run& run, const Arguments& arguments, std::string_view what,
            std::initializer_list<std::string_view> parameters, std::vector<const Value*>& values);

// What a loop goes through. False, with an error, where a value has no elements.
bool items_of(Run& run, int line, const Value& value, std::vector<Value>& items);

// The characters, each a text.
std::vector<Value> characters_of(const Text& text);

}  // namespace troupe::model::chat_template
