#include "actors/verifier/code/row_fields.h"

#include <fmt/format.h>

#include <cstdlib>

#include "actors/verifier/code/code_task.h"
#include "actors/verifier/printable.h"

namespace troupe::actors {
namespace {

using Kind = Value::Kind;

Error missing(std::string_view field) {
  return invalid_argument(fmt::format("the field {} is missing", field));
}

}  // namespace

std::string described(const Value& value) {
  constexpr size_t kShownBytesMax = 40;
  switch (value.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return value.boolean ? "true" : "false";
    case Kind::kInteger:
    case Kind::kReal:
      return "the number " + printable(value.text, kShownBytesMax);
    case Kind::kText:
      return "'" + printable(value.text, kShownBytesMax) + "'";
    case Kind::kList:
      return fmt::format("a list of {}", value.items.size());
    case Kind::kDictionary:
      return "an object";
    case Kind::kOther:
      return value.text;
  }
  return {};
}

bool is_empty(const Value* value) {
  if (value == nullptr || value->kind == Kind::kNull) return true;
  if (value->kind == Kind::kText) return value->text.empty();
  const bool is_container = value->kind == Kind::kList || value->kind == Kind::kDictionary;
  return is_container && value->items.empty();
}

Value unpacked(const Value& value) {
  if (value.kind != Kind::kText) return value;
  const size_t first = value.text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || (value.text[first] != '[' && value.text[first] != '{')) {
    return value;
  }
  auto read = value_from_json(value.text);
  return read ? std::move(*read) : value;
}

std::optional<double> number(const Value& value) {
  if (value.kind == Kind::kReal) return value.real;
  if (value.kind == Kind::kInteger && value.text.size() < 16) {
    return std::strtod(value.text.c_str(), nullptr);
  }
  return {};
}

const Value* RowFields::find(std::string_view field) const {
  const Value* value = object_.find(field);
  return is_empty(value) ? nullptr : value;
}

std::optional<std::string_view> RowFields::first_of(
    std::span<const std::string_view> fields) const {
  for (const std::string_view field : fields) {
    if (object_.find(field) != nullptr) return field;
  }
  return {};
}

Status RowFields::text(std::string_view field, std::string& to, bool is_needed) const {
  const Value* value = object_.find(field);
  if (!value || value->kind == Kind::kNull) return is_needed ? Status(missing(field)) : ok();
  if (value->kind != Kind::kText) {
    return invalid_argument(fmt::format("{} is no text, but {}", field, described(*value)));
  }
  to = value->text;
  return ok();
}

Status RowFields::number_between(std::string_view field, double low, double high,
                                 double& to) const {
  const Value* value = object_.find(field);
  if (!value || value->kind == Kind::kNull) return ok();
  const auto read = number(*value);
  if (!read || !(*read >= low && *read <= high)) {
    return invalid_argument(fmt::format("{} is not a number from {} to {}, but {}", field, low,
                                        high, described(*value)));
  }
  to = *read;
  return ok();
}

Status RowFields::texts(std::string_view field, std::vector<std::string>& to,
                        bool is_needed) const {
  const Value* found = object_.find(field);
  if (!found || found->kind == Kind::kNull) return is_needed ? Status(missing(field)) : ok();
  const Value value = unpacked(*found);
  if (value.kind == Kind::kText) {
    to.push_back(value.text);
    return ok();
  }
  if (value.kind != Kind::kList) {
    return invalid_argument(fmt::format("{} is no list, but {}", field, described(value)));
  }
  for (size_t i = 0; i < value.items.size(); ++i) {
    if (value.items[i].kind != Kind::kText) {
      return invalid_argument(
          fmt::format("{}: item {} is no text, but {}", field, i, described(value.items[i])));
    }
    to.push_back(value.items[i].text);
  }
  return ok();
}

Result<Value> RowFields::list(std::string_view field) const {
  const Value* found = object_.find(field);
  if (!found || found->kind == Kind::kNull) return missing(field);
  Value value = unpacked(*found);
  if (value.kind != Kind::kList) {
    return invalid_argument(fmt::format("{} is no list, but {}", field, described(value)));
  }
  if (value.items.empty() || value.items.size() > kCodeTestsMax) {
    return invalid_argument(fmt::format("{} has {} items; 1 to {} are allowed", field,
                                        value.items.size(), kCodeTestsMax));
  }
  return value;
}

}  // namespace troupe::actors
