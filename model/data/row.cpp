#include "model/data/row.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/data/json_row.h"

namespace troupe::model {

using nlohmann::json;

std::string folded(std::string_view name) {
  std::string text(trimmed(name));
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c == ' ' || c == '-') c = '_';
  }
  return text;
}

bool is_absent(const json& value) {
  if (value.is_null()) return true;
  if (value.is_string()) return trimmed(value.get_ref<const std::string&>()).empty();
  if (value.is_array()) return std::all_of(value.begin(), value.end(), is_absent);
  return value.is_object() && value.empty();
}

std::string name_of(std::string_view name) { return fmt::format("'{}'", name.substr(0, 80)); }

const json& opened(const json& value, json& storage) {
  if (!value.is_string()) return value;
  const std::string_view text = trimmed(value.get_ref<const std::string&>());
  if (!text.starts_with("[") && !text.starts_with("{")) return value;
  return read_json(text, storage) ? value : storage;
}

Error Row::error(std::string_view what) const {
  return invalid_argument(one_line(fmt::format("{}:{}: {}", path_, row_.line, what)));
}

Error Row::wrong_type(const Column& column, std::string_view wanted) const {
  const json& value = *column.value;
  const bool is_number = number_text(value).has_value();
  return error(fmt::format("column {} is {} {}, expected {}", name_of(column.name),
                           value.is_array() || value.is_object() ? "an" : "a",
                           is_number ? "number" : value.type_name(), wanted));
}

Error Row::missing(std::string_view what, std::initializer_list<ColumnList> names) const {
  std::string known;
  for (ColumnList some : names) {
    known += fmt::format("{}{}", known.empty() ? "" : " | ", fmt::join(some, " | "));
  }
  std::string hint;
  // {"data": [{...}, {...}]}: the rows are one level down.
  for (const auto& [name, value] : row_.object.items()) {
    const bool has_rows =
        value.is_array() && !value.empty() && value.front().is_object() && row_.object.size() <= 3;
    if (has_rows) hint = fmt::format("; are the rows in {}? Write that list alone", name_of(name));
  }
  return error(fmt::format("no {} column {}; found: {}; name it with [data] columns{}", what, known,
                           names_found(), hint));
}

std::vector<Column> Row::columns(ColumnList names) const {
  std::vector<Column> found;
  for (std::string_view name : names) find(row_.object, "", name, found);
  std::erase_if(found, [](const Column& column) { return is_absent(*column.value); });
  return found;
}

std::string Row::empty_column(ColumnList names) const {
  std::vector<Column> found;
  for (std::string_view name : names) find(row_.object, "", name, found);
  const auto empty = std::find_if(found.begin(), found.end(),
                                  [](const Column& column) { return is_absent(*column.value); });
  return empty == found.end() ? "" : empty->name;
}

std::string Row::names_found() const {
  std::string found;
  for (const auto& [name, value] : row_.object.items()) {
    if (found.size() < 200) found += (found.empty() ? "" : ", ") + name;
  }
  return found.empty() ? "none" : found;
}

void Row::find(const json& object, const std::string& before, std::string_view name,
               std::vector<Column>& found) const {
  if (!object.is_object()) return;
  const size_t dot = name.find('.');
  for (const auto& [key, value] : object.items()) {
    const std::string spelled = folded(key);
    if (spelled == name) found.push_back({before + key, &value});
    if (dot != name.npos && spelled == name.substr(0, dot)) {
      find(opened(value, opened_.emplace_back()), before + key + ".", name.substr(dot + 1), found);
    }
  }
}

}  // namespace troupe::model
