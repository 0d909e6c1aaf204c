// Reading the fields of a data set's row, with words for what is wrong.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/code/value.h"
#include "schemas/result.h"

namespace troupe::actors {

// "the number 7", "a list of 3", "'abc'": for messages. The text may have come from anywhere.
std::string described(const Value& value);

// What is null, or an empty text, list or object, is as if it were not there.
bool is_empty(const Value* value);

// The same value, or what its text writes as JSON where that is a list or an object.
Value unpacked(const Value& value);

// A number from JSON, where it is one that a double holds well enough for a limit.
std::optional<double> number(const Value& value);

class RowFields {
 public:
  explicit RowFields(const Value& object) : object_(object) {}

  bool has(std::string_view field) const { return !is_empty(object_.find(field)); }
  // nullptr where the field is empty.
  const Value* find(std::string_view field) const;
  // The first of these that is there.
  std::optional<std::string_view> first_of(std::span<const std::string_view> fields) const;

  // `to` stays as it is where the field is null or not there and `is_needed` is false.
  Status text(std::string_view field, std::string& to, bool is_needed) const;
  Status number_between(std::string_view field, double low, double high, double& to) const;
  // A list of sources, or one alone.
  Status texts(std::string_view field, std::vector<std::string>& to, bool is_needed) const;
  // 1 to kCodeTestsMax items.
  Result<Value> list(std::string_view field) const;

 private:
  const Value& object_;
};

}  // namespace troupe::actors
