#include "cluster/formats/rollout_lines.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cluster/formats/chrome_trace.h"
#include "cluster/monitor/work_history.h"
#include "schemas/json_text.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

void write_round(const tests::TempDir& dir, const std::string& round, const std::string& lines) {
  std::filesystem::create_directories(dir.file("traces"));
  tests::write_text(dir.file("traces/" + round + ".jsonl"), lines);
}

std::vector<nlohmann::json> lines_of(const tests::TempDir& dir, const RolloutFilter& filter) {
  std::vector<nlohmann::json> lines;
  const auto count = write_rollout_lines(dir.file(""), filter, [&](std::string_view text) {
    lines.push_back(parse_json(std::string(text)));
  });
  REQUIRE(count);
  CHECK(*count == lines.size());
  return lines;
}

constexpr const char* kGroup =
    R"({"round":3,"ordinal":5,"prompt":"1+3=?","gold":"4","samples":[)"
    R"({"sample":0,"reward":1.1,"length":2,"is_cut":false,"versions":[[0,7]],"texts":["4","!"],)"
    R"("parts":[{"name":"accuracy","kind":"equal","value":1,"weight":1,"reason":""}]},)"
    R"({"sample":1,"reward":0.1,"length":9,"is_cut":true,"versions":[],"texts":["5"],"parts":[7]},)"
    "7]}\n";

TEST_CASE("rollout_lines: verl's names, and what is known beside") {
  const tests::TempDir dir;
  write_round(dir, "3", kGroup);
  const auto lines = lines_of(dir, {});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] ==
        nlohmann::json::parse(
            R"({"input":"1+3=?","output":"4!","gts":"4","score":1.1,"step":7,"round":3,"group":5,)"
            R"("sample":0,"tokens":2,"is_cut":false,"rewards/accuracy":1.0,)"
            R"("verdicts/accuracy":"equal"})"));
  CHECK(lines[1]["step"].is_null());
}

TEST_CASE("rollout_lines: by reward, round and whether it is whole") {
  const tests::TempDir dir;
  write_round(dir, "3", kGroup);
  write_round(dir, "4", "{\"samples\":7}\n{}\nnonsense\n");
  CHECK(lines_of(dir, {.reward_min = 1}).size() == 1);
  CHECK(lines_of(dir, {.reward_max = 1}).size() == 1);
  CHECK(lines_of(dir, {.is_whole = true})[0]["sample"] == 0);
  CHECK(lines_of(dir, {.round_min = 4}).empty());
  CHECK(lines_of(dir, {.round_max = 2}).empty());
  CHECK(!write_rollout_lines(dir.file("nowhere"), {}, [](std::string_view) {}));
}

TEST_CASE("work_history: kept in two files of bounded size, and read in order") {
  const tests::TempDir dir;
  WorkFile file(dir.file(""), false, 2'000);
  for (int i = 0; i < 100; ++i) {
    PieceOfWork piece{
        .slot = 1, .role = "learner", .what = "learning \"step\" " + std::to_string(i)};
    piece.start = i;
    piece.end = i + 0.5;
    if (i % 2 == 0) piece.round = i;
    file.add({piece});
  }
  tests::write_text(dir.file("work.jsonl"),
                    tests::contents(dir.file("work.jsonl")) + "{\"slot\":-1}\n[]\nhalf of a li");
  std::vector<PieceOfWork> read;
  WorkFile::read(dir.file(""), [&](const PieceOfWork& piece) { read.push_back(piece); });
  CHECK(read.size() > 20);
  CHECK(read.size() < 50);
  CHECK(read.back().what == "learning \"step\" 99");
  CHECK(read.back().end == 99.5);
  CHECK(!read.back().round);
  for (size_t i = 1; i < read.size(); ++i) CHECK(read[i].end > read[i - 1].end);
  CHECK(std::filesystem::file_size(dir.file("work.old.jsonl")) <= 2'000);
  { const WorkFile goes_on(dir.file(""), true); }
  CHECK(std::filesystem::exists(dir.file("work.jsonl")));
  { const WorkFile anew(dir.file(""), false); }
  CHECK(!std::filesystem::exists(dir.file("work.jsonl")));
}

TEST_CASE("chrome_trace: spans by slot and role, in microseconds from the first") {
  const tests::TempDir dir;
  WorkFile(dir.file(""), false)
      .add(
          {{.slot = 2, .role = "rollout", .what = "generating", .round = 4, .start = 10, .end = 12},
           {.slot = 0, .role = "learner", .what = "learning", .start = 12, .end = 12.5}});
  std::string text;
  REQUIRE(write_chrome_trace(dir.file(""), [&](std::string_view part) { text += part; }));
  const auto trace = nlohmann::json::parse(text);
  std::vector<nlohmann::json> spans;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "X") spans.push_back(event);
  }
  REQUIRE(spans.size() == 2);
  CHECK(spans[0]["pid"] == 2);
  CHECK(spans[0]["ts"] == 0);
  CHECK(spans[0]["dur"] == 2e6);
  CHECK(spans[0]["args"]["round"] == 4);
  CHECK(spans[1]["ts"] == 2e6);
  CHECK(!write_chrome_trace(dir.file("nowhere"), [](std::string_view) {}));
}

}  // namespace
}  // namespace troupe::cluster
