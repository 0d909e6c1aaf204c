// What --resume takes and what it refuses: another job, damage, a home in use. Nothing that it does
// may lose work or end in other weights.
#include <doctest/doctest.h>

#include "tests/support/killed_run.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using tests::Ended;
using tests::Invocation;
using tests::Process;
using tests::ShortJob;
using tests::troupe;

const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob, {"sft.steps=10", "grpo.steps=12", "eval.every_steps=0",
                                    "schedule.checkpoints_kept=2", "eval.problems=4"});
constexpr uint64_t kSteps = 22;

// One undisturbed run, and one that was killed late in its rounds: its last points lie behind the
// cold start.
struct Runs {
  Runs() {
    want = tests::history_of(tests::result_of(troupe(job.run("undisturbed", kJob))));
    Process run(job.run("killed", kJob));
    // Steps and the evaluation after the cold start, whose own point is swept when two later ones
    // are known.
    const std::string metrics = job.file("killed/metrics.jsonl");
    const std::string cold_start = job.file("killed/checkpoints/step_10");
    REQUIRE(run.waits_for([&] { return tests::lines_in(metrics) >= 18 && !fs::exists(cold_start); },
                          60s));
    run.signal(SIGKILL);
    REQUIRE(run.wait().exit_code == -1);
  }

  // A copy of the killed run's home.
  Invocation killed(const std::string& name, const std::vector<std::string>& set = {}) const {
    fs::remove_all(job.file(name));
    fs::copy(job.file("killed"), job.file(name), fs::copy_options::recursive);
    return tests::resumed(job.run(name, tests::with(kJob, set)));
  }

  ShortJob job{};
  json want{};
};
const Runs& runs() {
  static const Runs instance;
  return instance;
}

void check_refused(const Invocation& invocation, const std::vector<std::string>& words) {
  const Ended ended = troupe(invocation);
  CAPTURE(ended.error);
  CHECK(ended.exit_code == 2);
  CHECK(ended.out.empty());
  CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
  for (const auto& word : words) {
    CAPTURE(word);
    CHECK(ended.error.find(word) != std::string::npos);
  }
}

void check_finishes(const Invocation& invocation) {
  const Ended ended = troupe(invocation);
  CHECK(tests::history_of(tests::result_of(ended)) == runs().want);
}

// Folders of the points that a home's store knows, oldest first.
std::vector<std::string> points_in(const std::string& home) {
  const auto store = actors::ReplayStore::open(cluster::store_folder(home));
  REQUIRE(store);
  const auto records = (*store)->list(1, actors::RecordKind::kPoint);
  REQUIRE(records);
  std::vector<std::string> paths;
  for (const auto& stored : *records) {
    const auto point = decode_point_record(stored.value);
    REQUIRE(point);
    paths.push_back(home + "/checkpoints/" + point->folder);
  }
  return paths;
}

void flip_bit(const std::string& path) {
  std::string bytes = tests::contents(path);
  REQUIRE_FALSE(bytes.empty());
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  tests::write_text(path, bytes);
}

TEST_CASE("run: an unfinished home is not begun again, and what it holds is not lost") {
  Invocation again = runs().killed("again");
  again.arguments.pop_back();
  check_refused(again, {"--resume", "unfinished", "step "});
  check_finishes(tests::resumed(again));
}

TEST_CASE("run --resume: without a job there is nothing to go on with, and nothing is made") {
  check_refused(tests::resumed(runs().job.run("nowhere", kJob)), {"no job", "--resume"});
  CHECK_FALSE(fs::exists(runs().job.file("nowhere")));
}

TEST_CASE("run --resume: another job than the one that the home holds is refused") {
  const std::vector<std::vector<std::string>> others = {
      {"seed=2"}, {"grpo.learning_rate=2e-4"}, {"grpo.steps=10"}, {"rewards.format.weight=0.2"}};
  for (const auto& other : others) {
    CAPTURE(other[0]);
    // The key that differs is named, in the reward's case with all that it says.
    const std::string key = other[0].substr(0, other[0].find('='));
    check_refused(
        runs().killed("other", other),
        {"the job is not the one", key.substr(0, key.rfind(".weight")) + " is", "there it is"});
  }
  check_finishes(tests::resumed(runs().job.run("other", kJob)));
}

TEST_CASE("run --resume: files that have changed are refused, files that have moved are not") {
  const std::string train = tests::contents(runs().job.file("data/train.jsonl"));
  const std::string copy = runs().job.file("data/copy.jsonl");
  tests::write_text(copy, train.substr(train.find('\n') + 1));
  check_refused(runs().killed("moved", {"data.train=data/copy.jsonl"}), {"files"});
  tests::write_text(copy, train);
  check_finishes(
      tests::resumed(runs().job.run("moved", tests::with(kJob, {"data.train=data/copy.jsonl"}))));
}

TEST_CASE("run --resume: other workers, prices and evaluations are no other job") {
  const Ended ended = troupe(runs().killed(
      "changed", {"resources.placement=split", "resources.rollout=2", "eval.problems=8",
                  "prices.cpu_core_hour=3", "schedule.checkpoint_every_steps=3"}));
  CHECK(tests::history_of(tests::result_of(ended)) == runs().want);
}

TEST_CASE("run --resume: a finished job's result is told again") {
  const Ended ended = troupe(tests::resumed(runs().job.run("undisturbed", kJob)));
  CHECK(tests::history_of(tests::result_of(ended)) == runs().want);
  CHECK(tests::result_of(ended)["ledger"]["steps_redone"] == 0);
}

TEST_CASE("run: a home that another process uses is refused, with and without --resume") {
  const std::vector<std::string> endless = tests::with(kJob, {"sft.steps=100000"});
  Process first(runs().job.run("used", endless));
  REQUIRE(first.says("sft 1/"));
  check_refused(tests::resumed(runs().job.run("used", endless)), {"process"});
  check_refused(runs().job.run("used", endless), {"process"});
  // The first one has not noticed.
  first.signal(SIGINT);
  const Ended ended = first.wait();
  CAPTURE(ended.error);
  CHECK(ended.exit_code == 3);
}

TEST_CASE("run --resume: an interrupted run ends as the undisturbed one") {
  for (const size_t moment : {3, 13, 17}) {
    CAPTURE(moment);
    const std::string home = runs().job.file("interrupted");
    fs::remove_all(home);
    const Invocation job = runs().job.run("interrupted", kJob);
    Process run(job);
    REQUIRE(run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") >= moment; }, 60s));
    run.signal(SIGINT);
    const Ended ended = run.wait();
    CAPTURE(ended.error);
    REQUIRE(ended.exit_code == 3);
    const json result = json::parse(ended.out);
    CHECK(result["state"] == "stopped");
    CHECK(result["steps"] < kSteps);
    check_finishes(tests::resumed(job));
  }
}

TEST_CASE("run --resume: a damaged recovery point is seen and an older one is taken") {
  for (const char* file : {"model.safetensors", "recovery/part_0.safetensors", "manifest.json"}) {
    CAPTURE(file);
    const Invocation job = runs().killed("damaged");
    const auto points = points_in(runs().job.file("damaged"));
    REQUIRE(points.size() >= 2);
    flip_bit(points.back() + "/" + file);
    const Ended ended = troupe(job);
    CHECK(tests::history_of(tests::result_of(ended)) == runs().want);
    CHECK(ended.error.find("is not used") != std::string::npos);
    CHECK(tests::result_of(ended)["ledger"]["steps_redone"] > 0);
  }
}

TEST_CASE(
    "run --resume: without any whole recovery point it says so, and when one is put back it "
    "goes on") {
  const Invocation job = runs().killed("pointless");
  const std::string home = runs().job.file("pointless");
  const auto points = points_in(home);
  for (const auto& point : points) flip_bit(point + "/model.safetensors");
  const Ended ended = troupe(job);
  CAPTURE(ended.error);
  CHECK(ended.exit_code != 0);
  CHECK(ended.out.empty());
  CHECK(ended.error.find("recovery point") != std::string::npos);
  for (const auto& point : points) flip_bit(point + "/model.safetensors");
  check_finishes(job);
}

TEST_CASE("run --resume: a damaged store is refused or does no harm") {
  const std::string folder = runs().job.file("killed/replay");
  size_t refusals = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    for (const bool is_cut : {false, true}) {
      CAPTURE(name);
      CAPTURE(is_cut);
      const Invocation job = runs().killed("torn");
      const std::string path = runs().job.file("torn/replay/" + name);
      if (is_cut) {
        fs::resize_file(path, fs::file_size(path) / 2);
      } else {
        flip_bit(path);
      }
      const Ended ended = troupe(job);
      CAPTURE(ended.error);
      if (ended.exit_code == 0) {
        CHECK(tests::history_of(tests::result_of(ended)) == runs().want);
      } else {
        ++refusals;
        CHECK(ended.exit_code > 0);
        CHECK(ended.out.empty());
        CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
      }
    }
  }
  CHECK(refusals > 0);
}

}  // namespace
}  // namespace troupe
