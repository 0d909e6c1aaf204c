// One row of a data file for whoever reads its columns: by name, with errors that say where.
#pragma once

#include <deque>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/data/row_file.h"
#include "schemas/result.h"

namespace troupe::model {

using ColumnList = std::span<const std::string_view>;

// "Final Answer", "final-answer" and "final_answer" are one name.
std::string folded(std::string_view name);

// Nothing to be read: as if the column were not there.
bool is_absent(const nlohmann::json& value);

// A column's name in a message.
std::string name_of(std::string_view name);

// A value, or what a text holds as a JSON list or object: a table has them as text. `storage` lives
// as long as what is returned.
const nlohmann::json& opened(const nlohmann::json& value, nlohmann::json& storage);

struct Column {
  std::string name{};  // As the row spells it.
  const nlohmann::json* value = nullptr;
};

class Row {
 public:
  // Both live as long as this.
  Row(const std::string& path, const FileRow& row) : path_(path), row_(row) {}

  const nlohmann::json& object() const { return row_.object; }
  const std::string& text() const { return row_.text; }

  // "FILE:LINE: what". Names may hold anything, a message is one line.
  Error error(std::string_view what) const;
  Error wrong_type(const Column& column, std::string_view wanted) const;
  // No column of these names is there; what is, and what to do.
  Error missing(std::string_view what, std::initializer_list<ColumnList> names) const;

  // Those of the names that are there with something in them, in the names' order. A dot descends
  // into an object, also where a table has it as text. Valid as long as this.
  std::vector<Column> columns(ColumnList names) const;

  // The first of the names that is there with nothing in it; empty: there is none.
  std::string empty_column(ColumnList names) const;

  std::string names_found() const;

 private:
  void find(const nlohmann::json& object, const std::string& before, std::string_view name,
            std::vector<Column>& found) const;

  const std::string& path_;
  const FileRow& row_;
  mutable std::deque<nlohmann::json> opened_{};  // Of texts; columns point into it.
};

}  // namespace troupe::model
