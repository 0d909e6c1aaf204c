// Problems and demonstrations of a data file: JSON lines, JSON lists and tables (row_file.h), with
// the columns that the field uses found by name (columns.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/data/columns.h"
#include "model/data/prompt_template.h"
#include "schemas/result.h"

namespace troupe::model {

struct Problem {
  Prompt prompt{};
  // The reference answer, or with kTests the row as it is written; never empty. Several answers,
  // any of which is right, are the JSON text of a list of texts.
  std::string gold{};
  ReferenceKind kind = ReferenceKind::kAnswer;
  int64_t line = 0;  // In its file, from 1.
};

struct Demonstration {
  Prompt prompt{};
  std::string response{};
  int64_t line = 0;
};

struct ProblemFile {
  struct LeftOut {
    int64_t line = 0;
    std::string reason{};
  };
  // Rows that were read alike.
  struct Layout {
    std::string prompt_column{};
    std::string reference_column{};
    int64_t count = 0;
    size_t first = 0;  // Index of its first problem.
  };

  std::vector<Problem> problems{};  // At least one.
  std::vector<LeftOut> left_out{};
  std::vector<Layout> layouts{};  // In the order in which the file has them.
};

struct ProblemOptions {
  WantedReference wanted = WantedReference::kShortAnswerOrTests;
  ColumnNames columns{};
};

// All failures are kInvalidArgument and name file and line: those of RowFile and read_problem, and
// a file that has no row, or none that can be used.
Result<ProblemFile> load_problems(const std::string& path, const ProblemOptions& options = {});
Result<std::vector<Demonstration>> load_demonstrations(const std::string& path);

}  // namespace troupe::model
