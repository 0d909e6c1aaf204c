#include "model/data/row_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "model/data/json_row.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using nlohmann::json;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

// train.csv, train.CSV.gz
bool is_table_name(const std::string& path) {
  std::filesystem::path name = lower_case(path);
  if (name.extension() == ".gz" || name.extension() == ".zst") name.replace_extension();
  return name.extension() == ".csv" || name.extension() == ".tsv";
}

// What stands at a place, for an error message: some whole characters of one line.
std::string excerpt(std::string_view text, size_t offset) {
  constexpr size_t kBytesMax = 24;
  std::string_view rest = text.substr(std::min(offset, text.size()));
  rest = rest.substr(0, rest.find('\n'));
  size_t size = std::min(rest.size(), kBytesMax);
  while (size > 0 && size < rest.size() &&
         (static_cast<unsigned char>(rest[size]) & 0xC0) == 0x80) {
    --size;
  }
  return one_line(std::string(rest.substr(0, size)));
}

std::string place_in(std::string_view text, size_t offset) {
  return offset < text.size() ? fmt::format("'{}'", excerpt(text, offset)) : "its end";
}

// What to do about the usual ways of not being JSON.
std::string_view advice(std::string_view rest, std::string_view what) {
  const auto begins = [&](std::string_view text) { return rest.starts_with(text); };
  if (what.find("surrogate") != what.npos) {
    return "; half of a character cannot be read, write both halves or \\ufffd";
  }
  if (begins("NaN") || begins("Inf")) return "; JSON has no such number, write null";
  if (begins("'")) return "; JSON has double quotes, as Python's json.dumps writes them";
  if (begins("True") || begins("False") || begins("None")) {
    return "; JSON has true, false and null, as Python's json.dumps writes them";
  }
  return {};
}

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// Where an object that begins at the front of a text ends; the scan goes on with more text.
class ObjectScan {
 public:
  // Whether it ends within the text; `size` is then that of the object.
  bool ends_in(std::string_view text) {
    for (; size < text.size(); ++size) {
      const char c = text[size];
      if (is_text_) {
        if (is_escaped_) {
          is_escaped_ = false;
        } else if (c == '\\') {
          is_escaped_ = true;
        } else if (c == '"') {
          is_text_ = false;
        }
      } else if (c == '"') {
        is_text_ = true;
      } else if (c == '{' || c == '[') {
        ++depth_;
      } else if ((c == '}' || c == ']') && --depth_ <= 0) {
        ++size;
        return true;
      }
    }
    return false;
  }

  size_t size = 0;

 private:
  int64_t depth_ = 0;
  bool is_text_ = false;
  bool is_escaped_ = false;
};

}  // namespace

Error RowFile::error(int64_t line, std::string_view what) const {
  return invalid_argument(fmt::format("{}:{}: {}", path_, line, what));
}

Result<RowFile> RowFile::open(const std::string& path) {
  auto text = TextFile::open(path);
  if (!text) return text.error();
  RowFile rows(path, std::move(*text));
  Status begun = is_table_name(path) ? rows.begin_table() : rows.begin();
  if (!begun) return begun.error();
  return rows;
}

Result<std::optional<FileRow>> RowFile::next() {
  switch (form_) {
    case Form::kLines:
      return next_line();
    case Form::kObjects:
    case Form::kList:
      return next_object();
    case Form::kTable:
      return next_table_row();
  }
  return std::optional<FileRow>();
}

Result<bool> RowFile::fill(size_t size) {
  while (held_.size() - at_ < size && !is_file_at_end_) {
    auto more = file_.next();
    if (!more) return more.error();
    is_file_at_end_ = more->empty();
    held_.erase(0, at_);
    at_ = 0;
    held_ += *more;
  }
  return held_.size() - at_ >= size;
}

Result<std::optional<char>> RowFile::peek() {
  if (at_ == held_.size()) {
    auto is_there = fill(1);
    if (!is_there) return is_there.error();
    if (!*is_there) return std::optional<char>();
  }
  return std::optional(held_[at_]);
}

Result<std::optional<char>> RowFile::take() {
  auto c = peek();
  if (!c || !*c) return c;
  ++at_;
  pass(std::string_view(&**c, 1));
  return c;
}

Status RowFile::begin() {
  while (true) {
    auto c = peek();
    if (!c) return c.error();
    if (!*c) return ok();
    if (!is_space(**c)) break;
    if (auto taken = take(); !taken) return taken.error();
  }
  if (held_[at_] == '[') {
    // A list of objects, or lines that are lists, which are no rows.
    form_ = Form::kList;
    if (auto taken = take(); !taken) return taken.error();
    return ok();
  }
  if (held_[at_] != '{') return ok();
  // An object that goes on behind its first line: so do all of them.
  if (auto filled = fill(kDatasetLineBytesMax); !filled) return filled.error();
  const std::string_view rest = std::string_view(held_).substr(at_);
  const std::string_view first = rest.substr(0, rest.find('\n'));
  ObjectScan scan;
  if (first.size() < rest.size() && !scan.ends_in(first) && scan.ends_in(rest)) {
    form_ = Form::kObjects;
  }
  return ok();
}

// Counts what has been taken.
void RowFile::pass(std::string_view text) {
  const size_t last = text.rfind('\n');
  line_ += std::count(text.begin(), text.end(), '\n');
  if (last != text.npos) column_ = 1;
  column_ += count_characters(text.substr(last + 1));  // npos + 1 is 0.
}

Result<FileRow> RowFile::parsed(int64_t line, int64_t column, std::string text) const {
  FileRow row{.line = line, .text = std::move(text)};
  if (!is_utf8(row.text)) return error(line, "not valid UTF-8; convert the file to UTF-8");
  if (const auto fault = read_json(row.text, row.object)) {
    const std::string_view before = std::string_view(row.text).substr(0, fault->offset);
    const int64_t lines = std::count(before.begin(), before.end(), '\n');
    if (lines > 0) column = 1;
    column += count_characters(before.substr(before.rfind('\n') + 1));  // npos + 1 is 0.
    return invalid_argument(one_line(
        fmt::format("{}:{}:{}: not JSON, at {}: {}{}", path_, line + lines, column,
                    place_in(row.text, fault->offset), fault->what,
                    advice(std::string_view(row.text).substr(fault->offset), fault->what))));
  }
  if (!row.object.is_object()) {
    return error(line, fmt::format("is {} {}, not an object {{...}} with columns",
                                   row.object.is_array() ? "an" : "a",
                                   number_text(row.object) ? "number" : row.object.type_name()));
  }
  return row;
}

Result<std::optional<FileRow>> RowFile::next_line() {
  while (true) {
    const int64_t line = line_;
    size_t searched = 0;
    size_t end = held_.npos;
    while (true) {
      end = held_.find('\n', at_ + searched);
      if (end != held_.npos) break;
      searched = held_.size() - at_;
      if (searched > kDatasetLineBytesMax || is_file_at_end_) break;
      if (auto filled = fill(searched + 1); !filled) return filled.error();
    }
    const size_t size = std::min(end, held_.size()) - at_;
    if (size > kDatasetLineBytesMax) {
      return error(line, fmt::format("the line is longer than {} bytes", kDatasetLineBytesMax));
    }
    if (size == 0 && end == held_.npos) return std::optional<FileRow>();
    const std::string_view whole = std::string_view(held_).substr(at_, size);
    std::string text(trimmed(whole));
    const int64_t column = 1 + static_cast<int64_t>(whole.find_first_not_of(" \t\r\n"));
    at_ += size + (end == held_.npos ? 0 : 1);
    ++line_;
    if (text.empty()) continue;
    auto row = parsed(line, column, std::move(text));
    if (!row) return row.error();
    return std::optional(std::move(*row));
  }
}

// Whether another object follows. What stands between two objects is checked.
Result<bool> RowFile::skip_to_object() {
  while (true) {
    auto c = peek();
    if (!c) return c.error();
    if (!*c) {
      if (form_ == Form::kList && !is_list_at_end_) {
        return error(line_, "the list ends without its ]; the file was cut");
      }
      return false;
    }
    const bool is_known =
        is_space(**c) || (form_ == Form::kList && !is_list_at_end_ && (**c == ',' || **c == ']'));
    if (!is_known) {
      if (!is_list_at_end_) return true;
      return error(line_,
                   fmt::format("something stands behind the list: '{}'", excerpt(held_, at_)));
    }
    if (**c == ',') ++commas_;
    if (**c == ']') is_list_at_end_ = true;
    if (is_list_at_end_ && commas_ > 0) return error(line_, "a comma stands before the list's ]");
    if (auto taken = take(); !taken) return taken.error();
  }
}

Result<std::optional<FileRow>> RowFile::next_object() {
  auto follows = skip_to_object();
  if (!follows) return follows.error();
  if (!*follows) return std::optional<FileRow>();
  const int64_t line = line_;
  if (held_[at_] != '{') {
    return error(line,
                 fmt::format("'{}' is not an object {{...}} with columns", excerpt(held_, at_)));
  }
  if (form_ == Form::kList && commas_ != (is_first_in_list_ ? 0 : 1)) {
    return error(line, commas_ == 0 ? "a comma is missing before this object"
                                    : "there are more commas than one before this object");
  }
  commas_ = 0;
  is_first_in_list_ = false;
  ObjectScan scan;
  while (!scan.ends_in(std::string_view(held_).substr(at_))) {
    if (scan.size > kDatasetLineBytesMax) break;
    auto filled = fill(scan.size + 1);
    if (!filled) return filled.error();
    if (!*filled) return error(line, "the object that begins here does not end");
  }
  if (scan.size > kDatasetLineBytesMax) {
    return error(line, fmt::format("the object is longer than {} bytes", kDatasetLineBytesMax));
  }
  std::string text = held_.substr(at_, scan.size);
  at_ += scan.size;
  const int64_t column = column_;
  pass(text);
  auto row = parsed(line, column, std::move(text));
  if (!row) return row.error();
  return std::optional(std::move(*row));
}

// ---- Tables, as RFC 4180 has them: a cell in quotes may hold separators, line breaks and,
// doubled, quotes.

Result<std::optional<RowFile::Cell>> RowFile::next_cell(size_t& bytes) {
  Cell cell;
  bool is_quoted = false, was_quoted = false;
  const int64_t line = line_;
  while (true) {
    auto c = take();
    if (!c) return c.error();
    if (!*c) {
      if (is_quoted) return error(line, "a cell that begins with \" does not end");
      if (bytes == 0 && cell.text.empty() && !was_quoted) return std::optional<Cell>();
      cell.is_last = true;
      break;
    }
    if (++bytes > kDatasetLineBytesMax) {
      return error(line, fmt::format("the row is longer than {} bytes", kDatasetLineBytesMax));
    }
    if (is_quoted) {
      if (**c != '"') {
        cell.text += **c;
        continue;
      }
      auto following = peek();
      if (!following) return following.error();
      if (*following == '"') {
        cell.text += '"';
        if (auto taken = take(); !taken) return taken.error();
      } else {
        is_quoted = false;
      }
    } else if (**c == '"' && !was_quoted && trimmed(cell.text).empty()) {
      if (!cell.text.empty()) {
        return error(line, "a space stands before a cell's first \"; take it out");
      }
      is_quoted = was_quoted = true;
    } else if (**c == separator_) {
      break;
    } else if (**c == '\n') {
      cell.is_last = true;
      break;
    } else if (**c == '\r') {
      auto following = peek();
      if (!following) return following.error();
      if (*following && **following != '\n') {
        return error(line,
                     "a carriage return stands alone; as the end of a line, write it as one: "
                     "tr '\\r' '\\n'");
      }
    } else {
      if (was_quoted) return error(line, "something stands between a cell's last \" and its end");
      cell.text += **c;
    }
  }
  return std::optional(std::move(cell));
}

Status RowFile::begin_table() {
  form_ = Form::kTable;
  if (auto filled = fill(kDatasetLineBytesMax); !filled) return filled.error();
  const std::string_view rest = std::string_view(held_).substr(at_);
  const std::string_view first = rest.substr(0, rest.find('\n'));
  // Whatever separates most of the header's names: spreadsheets of some countries write semicolons.
  const auto number_of = [&](char c) { return std::count(first.begin(), first.end(), c); };
  for (char candidate : {';', '\t', '|'}) {
    if (number_of(candidate) > number_of(separator_)) separator_ = candidate;
  }
  if (trimmed(first).starts_with("{\"") || trimmed(first).starts_with("[{")) {
    return error(1, "is JSON in a file that is called a table; call it .jsonl");
  }
  size_t bytes = 0;
  while (true) {
    auto cell = next_cell(bytes);
    if (!cell) return cell.error();
    if (!*cell) break;
    std::string name((*cell)->text);
    name = std::string(trimmed(name));
    if (!is_utf8(name)) return error(1, "not valid UTF-8; convert the file to UTF-8");
    if (!name.empty() && std::find(header_.begin(), header_.end(), name) != header_.end()) {
      return error(1, fmt::format("the column '{}' is there twice", name.substr(0, 60)));
    }
    header_.push_back(std::move(name));  // Without a name: the index that pandas writes.
    if ((*cell)->is_last) break;
  }
  return ok();
}

Result<std::optional<FileRow>> RowFile::next_table_row() {
  while (true) {
    FileRow row{.line = line_, .object = json::object()};
    size_t bytes = 0, index = 0;
    bool is_blank = true;
    while (true) {
      auto cell = next_cell(bytes);
      if (!cell) return cell.error();
      if (!*cell) return std::optional<FileRow>();
      std::string& text = (*cell)->text;
      if (!is_utf8(text)) return error(row.line, "not valid UTF-8; convert the file to UTF-8");
      is_blank = is_blank && text.empty();
      if (index < header_.size() && !header_[index].empty()) {
        json& slot = row.object[header_[index]];
        if (!text.empty()) slot = std::move(text);
      }
      ++index;
      if ((*cell)->is_last) break;
    }
    if (is_blank && index == 1) continue;  // A blank line.
    if (index != header_.size()) {
      return error(row.line,
                   fmt::format("the row has {} cells, the header {}", index, header_.size()));
    }
    row.text = to_text(row.object);
    return std::optional(std::move(row));
  }
}

}  // namespace troupe::model
