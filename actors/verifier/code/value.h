// Plain values (JSON's, and what programs compute) with all digits of their integers, for comparing
// what a program returned with what was expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors {

struct Value {
  enum class Kind : uint8_t { kNull, kBool, kInteger, kReal, kText, kList, kDictionary, kOther };

  Kind kind = Kind::kNull;
  bool boolean = false;
  double real = 0;
  // kText; kInteger: its decimal digits; kReal from JSON: as it is written; kOther: what it is.
  std::string text{};
  std::vector<Value> items{};  // kList; kDictionary: key and value by turns.

  static Value of_text(std::string text);
  static Value list(std::vector<Value> items);
  // The value of a key; nullptr where there is none, or this is no dictionary.
  const Value* find(std::string_view key) const;
};

inline constexpr size_t kValueDepthMax = 100;
inline constexpr size_t kValueItemsMax = 2'000'000;

// kInvalidArgument for what is not one JSON text within the bounds.
Result<Value> value_from_json(std::string_view text);

// The bytes that actors/verifier/code/python/values.py reads and writes. Tuples and ranges are
// decoded as lists, sets and the like as kOther; nothing for bytes that are no value.
std::string encode(const Value& value);
std::optional<Value> decode(std::string_view bytes);

// Whether a result is what was expected: the same structure and types, where an integer may be a
// real number of the same value, real numbers may differ by 1e-9 (absolute or relative), and keys
// of dictionaries may be integers, as JSON cannot write them. A Boolean is no number.
bool is_expected(const Value& result, const Value& expected);

}  // namespace troupe::actors
