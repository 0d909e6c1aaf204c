#include "model/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "model/data/row_file.h"

namespace troupe::model {
namespace {

// Calls `add` with each row of a file; it has at least one.
template <class Add>
Status for_each_row(const std::string& path, const Add& add) {
  auto rows = RowFile::open(path);
  if (!rows) return rows.error();
  bool has_rows = false;
  while (true) {
    auto row = rows->next();
    if (!row) return row.error();
    if (!*row) break;
    has_rows = true;
    if (Status added = add(**row); !added) return added;
  }
  return has_rows ? ok() : invalid_argument(fmt::format("{}: has no rows", path));
}

}  // namespace

Result<ProblemFile> load_problems(const std::string& path, const ProblemOptions& options) {
  ProblemFile file;
  const Status read = for_each_row(path, [&](const FileRow& row) -> Status {
    auto one = read_problem(path, row, options.wanted, options.columns);
    if (!one) return one.error();
    if (!one->is_usable()) {
      file.left_out.push_back({row.line, std::move(one->unusable.reason)});
      return ok();
    }
    ReadProblem& problem = one->problem;
    auto layout = std::find_if(file.layouts.begin(), file.layouts.end(), [&](const auto& known) {
      return known.prompt_column == problem.prompt_column &&
             known.reference_column == problem.reference_column;
    });
    if (layout == file.layouts.end()) {
      file.layouts.push_back(
          {problem.prompt_column, problem.reference_column, 0, file.problems.size()});
      layout = file.layouts.end() - 1;
    }
    ++layout->count;
    file.problems.push_back(
        {std::move(problem.prompt), std::move(problem.gold), problem.kind, row.line});
    return ok();
  });
  if (!read) return read.error();
  if (file.problems.empty()) {
    const auto& first = file.left_out.front();
    const size_t others = file.left_out.size() - 1;
    return invalid_argument(fmt::format(
        "{}:{}: {}{}", path, first.line, first.reason,
        others > 0 ? fmt::format("; none of the other {} rows can be used either", others) : ""));
  }
  return file;
}

Result<std::vector<Demonstration>> load_demonstrations(const std::string& path) {
  std::vector<Demonstration> demonstrations;
  const Status read = for_each_row(path, [&](const FileRow& row) -> Status {
    auto one = read_demonstration(path, row);
    if (!one) return one.error();
    demonstrations.push_back({std::move(one->prompt), std::move(one->response), row.line});
    return ok();
  });
  if (!read) return read.error();
  return demonstrations;
}

}  // namespace troupe::model
