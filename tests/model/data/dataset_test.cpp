#include "model/data/dataset.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

class Lines {
 public:
  explicit Lines(std::string_view text) : path(dir_.file("data.jsonl")) {
    std::ofstream(path, std::ios::binary) << text;
  }

 private:
  tests::TempDir dir_;

 public:
  const std::string path;
};

TEST_CASE("dataset: GSM8K lines give the number after the last #### as gold") {
  const Lines file(
      "{\"question\": \"Natalia sold clips to 48 of her friends in April, and then she sold half "
      "as many clips in May. How many altogether?\", \"answer\": \"Natalia sold 48/2 = "
      "<<48/2=24>>24 clips in May.\\nNatalia sold 48+24 = <<48+24=72>>72 clips.\\n#### 72\"}\n"
      "\r\n"
      "{\"question\": \"How much did the house cost?\", \"answer\": \"It is #### no.\\n#### "
      "1,250,000 \"}");
  auto file_read = load_problems(file.path);
  REQUIRE(file_read);
  const auto& problems = file_read->problems;
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].prompt[0].content.starts_with("Natalia sold clips"));
  CHECK(problems[0].gold == "72");
  CHECK(problems[1].gold == "1250000");
  CHECK(problems[1].line == 3);
  REQUIRE(file_read->layouts.size() == 1);
  CHECK(file_read->layouts[0].prompt_column == "question");
  CHECK(file_read->layouts[0].reference_column == "answer, after ####");
  CHECK(file_read->layouts[0].count == 2);

  auto demonstrations = load_demonstrations(file.path);
  REQUIRE(demonstrations);
  CHECK((*demonstrations)[0].response.ends_with("72 clips.\n#### 72"));
}

TEST_CASE("dataset: rows without a reference are left out with line and reason, layouts counted") {
  const Lines file(
      "{\"question\": \"a\", \"answer\": \"1\"}\n"
      "{\"question\": \"b\", \"answer\": null}\n"
      "{\"problem\": \"c\", \"solution\": \"It is $\\\\boxed{2}$ as we have seen above.\"}\n"
      "{\"problem\": \"d\", \"solution\": \"We have seen it above.\"}\n"
      "{\"question\": \"e\", \"answer\": \"5\"}\n");
  const auto read = load_problems(file.path);
  REQUIRE_MESSAGE(read, read.error().message);
  REQUIRE(read->problems.size() == 3);
  CHECK(read->problems[1].gold == "2");
  CHECK(read->problems[2].gold == "5");
  REQUIRE(read->left_out.size() == 2);
  CHECK(read->left_out[0].line == 2);
  CHECK(read->left_out[0].reason == "column 'answer' is empty");
  CHECK(read->left_out[1].line == 4);
  CHECK(read->left_out[1].reason.find("worked solution") != std::string::npos);
  REQUIRE(read->layouts.size() == 2);
  CHECK(read->layouts[0].count == 2);
  CHECK(read->layouts[1].reference_column == "solution, in \\boxed{}");
  CHECK(read->layouts[1].first == 1);
}

TEST_CASE("dataset: a file without a row that can be used is refused with the first reason") {
  const Lines file(
      "{\"question\": \"a\", \"answer\": \"\"}\n{\"question\": \"b\", \"answer\": []}");
  const auto read = load_problems(file.path);
  REQUIRE(!read);
  CHECK(read.error().code == ErrorCode::kInvalidArgument);
  CHECK(read.error().message ==
        file.path + ":1: column 'answer' is empty; none of the other 1 rows can be used either");
  CHECK(load_problems(Lines("").path).error().message.ends_with("data.jsonl: has no rows"));
  CHECK(load_problems(Lines("\n \n\r\n").path).error().message.ends_with(": has no rows"));
  CHECK(load_demonstrations(Lines("[]").path).error().message.ends_with(": has no rows"));
}

}  // namespace
}  // namespace troupe::model
