#include "actors/job/job_data.h"

#include <doctest/doctest.h>

#include "model/formats/file.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors {
namespace {

using model::ByteTokenizer;

struct Files {
  Files() {
    write("train.jsonl",
          "{\"prompt\":\"1+2=?\",\"gold\":\"3\"}\n{\"prompt\":\"2+2=?\",\"gold\":\"4\"}\n");
    write("held_out.jsonl", "{\"prompt\":\"1+1=?\",\"gold\":\"2\"}\n");
    write("cold.jsonl",
          "{\"prompt\":\"1+2=?\",\"response\":\"<think>3</think><answer>3</answer>\"}\n");
    job.data.train = dir.file("train.jsonl");
    job.data.held_out = dir.file("held_out.jsonl");
    job.data.cold_start = {dir.file("cold.jsonl")};
    job.data.template_name = "plain";
    job.sft.steps = 1;
    job.grpo.steps = 1;
    job.rewards = {{.name = "accuracy", .verifier = "math"}};
  }
  Result<JobData> load() const { return load_job_data(job, {}, *model::named_config("tiny-moe")); }
  void write(const std::string& name, const std::string& text) {
    REQUIRE(model::write_file(dir.file(name), text));
  }
  std::string refusal() const {
    const auto data = load();
    REQUIRE_FALSE(data);
    CHECK(data.error().code == ErrorCode::kInvalidArgument);
    CHECK(data.error().message.find('\n') == std::string::npos);
    return data.error().message;
  }

  tests::TempDir dir{};
  JobSpec job{};
};

TEST_CASE("job data: a demonstration is learned from its response on, its end token included") {
  const Files files;
  const auto data = files.load();
  REQUIRE(data);
  REQUIRE(data->cold_start.size() == 1);
  REQUIRE(data->cold_start[0].size() == 1);
  const auto& one = data->cold_start[0][0];
  const std::vector<int32_t> want = {ByteTokenizer::kBos,
                                     '1',
                                     '+',
                                     '2',
                                     '=',
                                     '?',
                                     ByteTokenizer::kThinkOpen,
                                     '3',
                                     ByteTokenizer::kThinkClose,
                                     ByteTokenizer::kAnswerOpen,
                                     '3',
                                     ByteTokenizer::kAnswerClose,
                                     ByteTokenizer::kEos};
  CHECK(one.tokens == want);
  CHECK(one.loss_mask == std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("job data: prompts carry their gold, and are read for the stages that there are") {
  Files files;
  auto data = files.load();
  REQUIRE(data);
  REQUIRE(data->train.size() == 2);
  CHECK(data->train[1].text == "2+2=?");
  CHECK(data->train[1].gold == "4");
  CHECK(data->train[1].tokens ==
        std::vector<int32_t>{ByteTokenizer::kBos, '2', '+', '2', '=', '?'});
  CHECK(data->held_out.size() == 1);
  CHECK(data->notes.size() == 2);  // What was taken of each file; nothing was left out.

  files.job.data.train = files.dir.file("none");  // Not asked for by a job without GRPO.
  files.job.grpo.steps = 0;
  CHECK(files.load());
  files.job.data.cold_start = {files.dir.file("none")};
  files.job.sft.steps = 0;
  CHECK(files.load());
}

TEST_CASE("job data: long prompts are left out and counted, all of them is an error") {
  Files files;
  files.write("train.jsonl", "{\"prompt\":\"1+2=?\",\"gold\":\"3\"}\n{\"prompt\":\"" +
                                 std::string(50, '1') + "\",\"gold\":\"4\"}\n");
  files.job.data.max_prompt_tokens = 6;
  const auto data = files.load();
  REQUIRE(data);
  CHECK(data->train.size() == 1);
  REQUIRE(data->notes.size() == 4);  // The held-out file has a line of its own.
  CHECK(data->notes[0].ends_with(
      "train.jsonl: 2 problems: prompt in prompt, reference in gold; line 1: 1+2=? -> 3"));
  CHECK(
      data->notes[1].ends_with("train.jsonl:2: left out: the prompt has more than "
                               "max_prompt_tokens = 6 tokens (51)"));
  CHECK(
      data->notes[2].ends_with("train.jsonl: left out 1 of 2 rows: 1: the prompt has more than "
                               "max_prompt_tokens = 6 tokens"));
  files.job.data.max_prompt_tokens = 5;
  CHECK(files.refusal().find("max_prompt_tokens") != std::string::npos);
}

TEST_CASE("job data: what is wrong in a file is named by file and line") {
  {
    Files files;
    files.write("train.jsonl", "{\"prompt\":\"1\",\"gold\":\"3\"}\n{\"prompt\":\n");
    CHECK(files.refusal().find("train.jsonl:2:11: not JSON") != std::string::npos);
  }
  {
    Files files;
    files.write("cold.jsonl", "{\"prompt\":\"1\"}\n");
    CHECK(files.refusal().find("cold.jsonl:1: ") != std::string::npos);
  }
  {
    Files files;
    files.job.sft.batch_tokens = 12;  // The demonstration has 13.
    CHECK(files.refusal().find("cold.jsonl:1: 13 tokens") != std::string::npos);
    files.job.sft.batch_tokens = 13;
    CHECK(files.load());
    files.job.learner.microbatch_tokens = 12;
    files.refusal();
  }
  {
    Files files;
    files.job.data.held_out = files.dir.file("none");
    CHECK(files.refusal().find(files.dir.file("none")) != std::string::npos);
    files.job.data.held_out.clear();
    CHECK(files.load()->held_out.empty());
    files.job.data.template_name = "plane";
    CHECK(files.refusal().find("plain") != std::string::npos);
  }
}

}  // namespace
}  // namespace troupe::actors
