// What only the whole loop decides; its parts have tests of their own, and the simulation has all
// of it with misfortunes.
#include "actors/controller/controller.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

struct Fixture {
  Fixture() {
    job.grpo.steps = 1;
    job.eval.problems = 0;
  }

  // Names of the commands since the last call, and each that is a commit is kept for later.
  std::string said() {
    static const std::vector<std::string> names = {
        "learn",  "generate", "cancel", "cancel evaluation", "publish", "retire", "judge", "save",
        "commit", "load",     "forget", "keep best",         "end"};
    std::string text;
    for (ControllerCommand& command : controller.take_commands()) {
      text += (text.empty() ? "" : ", ") + names.at(command.index());
      if (const auto* commit = std::get_if<command::Commit>(&command)) {
        tickets.push_back(commit->ticket);
      }
      if (const auto* one = std::get_if<command::End>(&command)) end = *one;
    }
    return text;
  }
  void durable() {
    for (uint64_t ticket : std::exchange(tickets, {})) controller.committed(ticket, 0);
  }
  void generated(uint32_t ordinal) {
    controller.groups_generated(
        {.groups = {{.id = {Round{0}, ordinal},
                     .responses = {tests::response("a"), tests::response("b")}}}},
        0);
  }
  void judged(uint32_t ordinal) {
    controller.groups_judged(
        {.groups = {{.id = {Round{0}, ordinal}, .verdicts = {tests::right(), tests::wrong()}}}}, 0);
  }

  JobSpec job = tests::small_job();
  JobData data = tests::small_data();
  tests::RecordingSink sink{};
  Controller controller{job, data, {}, {.job_id = 1, .epoch = 1}, sink};
  std::vector<uint64_t> tickets{};
  std::optional<command::End> end{};
};

TEST_CASE("controller: generate, verify, admit, learn, commit, and the end with a point") {
  Fixture f;
  f.controller.learner_ready(PolicyVersion{0}, 0);
  CHECK(f.said() == "publish, load");
  f.controller.round_loaded(Round{0}, {}, 0);
  CHECK(f.said() == "commit, generate");
  f.generated(1);
  f.generated(0);
  CHECK(f.said() == "judge, judge");
  f.judged(1);
  f.judged(0);
  CHECK(f.said() == "commit, commit");
  f.durable();
  CHECK(f.said() == "learn, save, retire");
  StepLearned learned;
  learned.metrics.version = PolicyVersion{1};
  f.controller.step_learned(learned, 0);
  CHECK(f.said() == "commit");
  CHECK(f.sink.steps.empty());
  f.controller.point_saved({.version = PolicyVersion{1}}, 0, 0);
  CHECK(f.said() == "commit");
  f.durable();
  CHECK(f.sink.steps.size() == 1);
  CHECK(f.said() == "cancel, end");
  CHECK(f.end->state == JobState::kFinished);
}

TEST_CASE("controller: it says what it waits for") {
  Fixture f;
  const auto waits_for = [&](const std::string& what) {
    CAPTURE(f.controller.waits_for());
    CHECK(f.controller.waits_for().find(what) == 0);
  };
  waits_for("a learner");
  f.controller.learner_ready(PolicyVersion{0}, 0);
  waits_for("the store, with a round");
  f.controller.round_loaded(Round{0}, {}, 0);
  static_cast<void>(f.said());
  waits_for("the store, with 1 commits");
  f.durable();
  f.generated(0);
  waits_for("round 0: 1 groups to be generated, 1 to be judged; the first is 0");
  CHECK(f.controller.sample().groups_judging == 1);
}

TEST_CASE(
    "controller: a job that fails ends once what was committed is durable, and hears no more") {
  Fixture f;
  f.controller.learner_ready(PolicyVersion{0}, 0);
  f.controller.round_loaded(Round{0}, {}, 0);
  static_cast<void>(f.said());
  f.generated(9);  // Nobody asked for it.
  f.controller.groups_generated(
      {.groups = {{.id = {Round{0}, 0}, .responses = {tests::response("")}},
                  {.id = {Round{0}, 1},
                   .responses = {tests::response("a"), tests::response("b")}}}},
      0);
  CHECK(f.said() == "");
  f.generated(0);
  CHECK(f.said() == "");
  f.durable();
  CHECK(f.said() == "cancel, end");
  CHECK(f.end->state == JobState::kFailed);
  CHECK(f.end->error.message.find("cannot be: round 0, group 0") != std::string::npos);
  f.controller.abort({ErrorCode::kInternal, "again"});
  CHECK(f.said() == "");
}

TEST_CASE("controller: a store that cannot be written to ends a job at once") {
  Fixture f;
  f.controller.learner_ready(PolicyVersion{0}, 0);
  f.controller.round_loaded(Round{0}, {}, 0);
  f.controller.abort({ErrorCode::kStaleEpoch, "replaced"});
  CHECK(f.said() == "publish, load, commit, generate, cancel, end");
  CHECK(f.end->error.code == ErrorCode::kStaleEpoch);
  f.durable();
  CHECK(f.said() == "");
}

TEST_CASE("controller: a stop waits for a point where there is a learner, and for nobody else") {
  Fixture f;
  f.job.grpo.steps = 2;
  f.controller.learner_ready(PolicyVersion{0}, 0);
  f.controller.round_loaded(Round{0}, {}, 0);
  f.generated(0);
  f.generated(1);
  f.judged(0);
  f.judged(1);
  static_cast<void>(f.said());
  SUBCASE("the step under way is learned, and no round is generated") {
    f.durable();
    CHECK(f.said() == "learn, publish, load, retire");
    f.controller.stop(JobState::kPaused, 0);
    CHECK(f.said() == "cancel");
    f.controller.round_loaded(Round{1}, {}, 0);
    CHECK(f.said() == "");
    StepLearned learned;
    learned.metrics.version = PolicyVersion{1};
    f.controller.step_learned(learned, 0);
    CHECK(f.said() == "commit, save");
    f.controller.point_saved({.version = PolicyVersion{1}}, 0, 0);
    CHECK(f.said() == "commit");
    f.durable();
    CHECK(f.said() == "cancel, end");
    CHECK(f.end->state == JobState::kPaused);
    CHECK(number(f.controller.start_point()->version) == 1);
  }
  SUBCASE("a learner that is lost meanwhile is not waited for") {
    f.durable();
    f.controller.stop(JobState::kCancelled, 0);
    static_cast<void>(f.said());
    f.controller.learner_lost();
    CHECK(f.said() == "cancel evaluation, cancel, end");
    CHECK(f.end->state == JobState::kCancelled);
  }
}

}  // namespace
}  // namespace troupe::actors
