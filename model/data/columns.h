// Which of a row's columns are its prompt and its reference: the layouts that published data sets
// have, in one order, and what is refused because it could be read in two ways.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "model/data/prompt_template.h"
#include "schemas/result.h"

namespace troupe::model {

struct FileRow;  // row_file.h, for whoever reads the file.

// What a row's reference is: an answer, or the tests of a programming problem.
enum class ReferenceKind : uint8_t { kAnswer, kTests };

// What whoever judges needs.
enum class WantedReference : uint8_t {
  kShortAnswer,  // To compare an answer with: a worked solution must say where its answer is.
  kTests,        // To run a program against.
  kShortAnswerOrTests,  // Either, told from the row.
  kAny,                 // The judge reads whatever is there, worked solutions too.
};

// Columns named by hand; an empty name is found by the table.
struct ColumnNames {
  std::string prompt{};
  std::string answer{};
};

struct ReadProblem {
  Prompt prompt{};
  std::string gold{};
  ReferenceKind kind = ReferenceKind::kAnswer;
  std::string prompt_column{};     // As the row spells them, with what was added: "problem"
  std::string reference_column{};  // "answer, after ####", "inputs + outputs"
};

// A row of a known layout that has nothing to learn from, and why.
struct UnusableRow {
  std::string reason{};
};

// Either of the two, or an error that names file and line: no known column, a value of a wrong
// type, and two readings that differ.
struct ProblemRow {
  ReadProblem problem{};
  UnusableRow unusable{};
  bool is_usable() const { return unusable.reason.empty(); }
};

//   prompt   prompt | question | problem | instruction [+ input] | query | question_content |
//            messages | conversations; where none is there: input | text | description. Text, or a
//            list of {role, content} or {from, value}; a `system` or `system_prompt` goes before.
//   answer   gold | reward_model.ground_truth | ground_truth | expected_answer | final_answer |
//            answer | reference_answer | correct_answer | gold_answer | golden_answers; where none
//            is there: label | target, then solution. Text, a number or a truth value, or a list of
//            those, any of which is right: the gold is then the JSON of the list. The answer is
//            what stands behind the last #### (GSM8K), and of a worked solution the content of the
//            last \boxed{}.
//   tests    test + entry_point | test_list | inputs + outputs | input_output | public_test_cases |
//            verification_info | tests | test_cases | ... (test_columns.h): the gold is the row as
//            it is written.
// Names are compared without regard to case; null, empty texts and empty lists are as if absent.
// Columns of one line of the table that are there together must agree, or one holds the other.
// Choices, passages and an input that do not stand in the prompt of an answer, pictures and tools
// are an error; what data sets write where they have no answer ("proof", "nan") is unusable.
Result<ProblemRow> read_problem(const std::string& path, const FileRow& row, WantedReference wanted,
                                const ColumnNames& columns);

struct ReadDemonstration {
  Prompt prompt{};
  std::string response{};
};

//   prompt     as above
//   response   response | completion | output, else answer | solution: text, or for completion a
//              list of one assistant's message; or messages | conversations that end with the
//              assistant's
// What belongs to the prompt and is not in it is an error, as of a problem.
Result<ReadDemonstration> read_demonstration(const std::string& path, const FileRow& row);

}  // namespace troupe::model
