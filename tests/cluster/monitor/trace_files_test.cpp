#include "cluster/monitor/trace_files.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

Trajectory response(const std::string& text, uint32_t sample) {
  Trajectory trajectory{.id = {{Round{3}, 5}, sample}};
  trajectory.tokens = {'?', '='};
  trajectory.loss_mask = {0, 0};
  trajectory.rollout_logprobs = {0, 0};
  for (const char c : text) {
    trajectory.tokens.push_back(static_cast<unsigned char>(c));
    trajectory.loss_mask.push_back(1);
    trajectory.rollout_logprobs.push_back(-0.5);
  }
  trajectory.versions = {{PolicyVersion{7}, 2, static_cast<uint32_t>(trajectory.tokens.size())}};
  trajectory.verdict.parts = {
      {.name = "accuracy", .kind = VerdictKind::kDifferent, .value = 0.25, .reason = "3 is not 4"}};
  return trajectory;
}

nlohmann::ordered_json trace(const std::string& text, uint64_t round = 3) {
  auto trace = trace_of({.trajectories = {response(text, 0), response("b", 1)}},
                        {.text = "1+3=?", .gold = "4"}, model::Tokenizer{});
  trace["round"] = round;
  return trace;
}

TEST_CASE("trace_files: a group is read as it was written, characters whole, anything as text") {
  const tests::TempDir dir;
  TraceFiles files(dir.file("traces"), 1 << 20, false);
  const std::string hostile =
      "<script>\x1b[2J\xe2\x80\xae"
      "a\xff\xc3\xbc\n";
  files.add(3, trace(hostile));
  files.add(3, trace(hostile));  // The same group, told again after a kill.
  REQUIRE(TraceFiles::rounds(dir.file("traces")).size() == 1);
  const auto groups = TraceFiles::groups(dir.file("traces"), 3);
  REQUIRE(groups.size() == 1);
  const auto& sample = groups[0]["samples"][0];
  std::string text;
  for (const auto& piece : sample["texts"]) text += piece.get<std::string>();
  CHECK(text ==
        "<script>\x1b[2J\xe2\x80\xae"
        "a\xef\xbf\xbd\xc3\xbc\n");
  CHECK(sample["texts"].size() == sample["logprobs"].size());
  CHECK(sample["parts"][0]["reason"] == "3 is not 4");
  CHECK(sample["parts"][0]["kind"] == "different");
  CHECK(sample["versions"] == nlohmann::json::parse("[[0,7]]"));
  CHECK(sample["length"] == hostile.size());
  CHECK(groups[0]["prompt"] == "1+3=?");
  CHECK(groups[0]["gold"] == "4");
}

TEST_CASE("trace_files: they take so much disk and no more, and the newest round stays") {
  const tests::TempDir dir;
  constexpr uint64_t kMax = 64 << 10;
  TraceFiles files(dir.file("traces"), kMax, false);
  for (uint64_t round = 0; round < 200; ++round) {
    for (int i = 0; i < 20; ++i) files.add(round, trace(std::string(50, 'x'), round));
  }
  uint64_t bytes = 0;
  const auto rounds = TraceFiles::rounds(dir.file("traces"));
  for (const auto& one : rounds) {
    CHECK(one.bytes <= kMax / TraceFiles::kRoundShare);
    bytes += one.bytes;
  }
  CHECK(bytes <= kMax);
  CHECK(rounds.size() > 8);
  CHECK(rounds.front().round == 0);
  CHECK(rounds.back().round == 199);
}

TEST_CASE("trace_files: a held-out problem over versions, within bounds, and lived again") {
  const tests::TempDir dir;
  constexpr uint64_t kMax = 64 << 10;
  TraceFiles files(dir.file("traces"), kMax, false);
  const auto evaluate = [&](uint64_t version, const std::string& response) {
    files.add_evaluation(
        PolicyVersion{version},
        {{.prompt = "1+3=?", .response = response, .gold = "4", .is_solved = response == "4"},
         {.prompt = "2+3=?", .response = "5"}});
  };
  evaluate(10, "3");
  evaluate(20, "7");
  evaluate(20, "4");  // After a kill that part of the history is lived again.
  auto problems = TraceFiles::held_out(dir.file("traces"));
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].prompt == "1+3=?");
  CHECK(problems[0].gold == "4");
  REQUIRE(problems[0].answers.size() == 2);
  CHECK(problems[0].answers[0].version == 10);
  CHECK(!problems[0].answers[0].is_solved);
  CHECK(problems[0].answers[1].response == "4");
  CHECK(problems[0].answers[1].is_solved);
  for (uint64_t version = 30; version < 300; ++version) evaluate(version, std::string(200, 'x'));
  CHECK(std::filesystem::file_size(dir.file("traces/held_out.jsonl")) <=
        kMax / TraceFiles::kRoundShare);
  problems = TraceFiles::held_out(dir.file("traces"));
  CHECK(problems[0].answers.back().version == 299);
  CHECK(problems[0].answers.size() > 2);
}

TEST_CASE("trace_files: who goes on keeps what is there, who begins anew does not") {
  const tests::TempDir dir;
  { TraceFiles(dir.file("traces"), 1 << 20, false).add(3, trace("a")); }
  { TraceFiles(dir.file("traces"), 1 << 20, true).add(4, trace("a", 4)); }
  CHECK(TraceFiles::rounds(dir.file("traces")).size() == 2);
  tests::write_text(dir.file("traces/4.jsonl"), "{\"samples\":[]\n{}\n7\n");
  tests::write_text(dir.file("traces/x.jsonl"), "{}\n");
  CHECK(TraceFiles::groups(dir.file("traces"), 4).empty());
  CHECK(TraceFiles::rounds(dir.file("traces")).size() == 2);
  TraceFiles anew(dir.file("traces"), 0, false);
  anew.add(1, trace("a", 1));
  CHECK(TraceFiles::rounds(dir.file("traces")).empty());
}

}  // namespace
}  // namespace troupe::cluster
