// The rows of a data file, one after another: JSON lines, a JSON list of objects, objects over
// several lines, or a table with a header (CSV, TSV).
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/data/text_file.h"
#include "schemas/result.h"

namespace troupe::model {

constexpr size_t kDatasetLineBytesMax = 8 << 20;

struct FileRow {
  int64_t line = 0;         // Where it begins, from 1.
  std::string text{};       // As it is written; of a table, its JSON.
  nlohmann::json object{};  // As read_json has it.
};

class RowFile {
 public:
  // A table is told by the file's name: .csv or .tsv, also with .gz or .zst behind it.
  // kInvalidArgument as TextFile, and for a header that names a column twice or not at all.
  static Result<RowFile> open(const std::string& path);

  // The next row; nothing at the end. kInvalidArgument with "FILE:LINE: " or "FILE:LINE:COLUMN: "
  // for what is not UTF-8, not JSON, not an object, longer than kDatasetLineBytesMax, and for a
  // line of a table with more or fewer cells than its header. Cells are texts; an empty one is
  // null.
  Result<std::optional<FileRow>> next();

 private:
  enum class Form : uint8_t { kLines, kObjects, kList, kTable };

  RowFile(std::string path, TextFile file) : path_(std::move(path)), file_(std::move(file)) {}

  Status begin();
  Status begin_table();
  Result<std::optional<FileRow>> next_line();
  Result<std::optional<FileRow>> next_object();
  Result<std::optional<FileRow>> next_table_row();
  Result<bool> skip_to_object();
  Result<FileRow> parsed(int64_t line, int64_t column, std::string text) const;

  // One cell's text and whether it was the line's last.
  struct Cell {
    std::string text{};
    bool is_last = false;
  };
  Result<std::optional<Cell>> next_cell(size_t& bytes);

  // The next byte, taken or not; nothing at the end of the file.
  Result<std::optional<char>> peek();
  Result<std::optional<char>> take();
  void pass(std::string_view text);
  Result<bool> fill(size_t size);  // Whether so many bytes are at hand.
  Error error(int64_t line, std::string_view what) const;

  std::string path_;
  TextFile file_;
  Form form_ = Form::kLines;
  std::string held_{};  // Read and not yet taken: from at_ on.
  size_t at_ = 0;
  int64_t line_ = 1;    // Of the next byte,
  int64_t column_ = 1;  // in characters.
  bool is_file_at_end_ = false;
  bool is_list_at_end_ = false;
  bool is_first_in_list_ = true;
  int commas_ = 0;  // Of the list, before the next object.
  char separator_ = ',';
  std::vector<std::string> header_{};
};

}  // namespace troupe::model
