#include "actors/controller/rounds.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

using tests::all_of;
using tests::failed;
using tests::right;
using tests::wrong;

struct Fixture : tests::ControllerParts {
  Rounds rounds{job, data, timetable, commits, outbox, sink};

  // Round `r` is opened and has begun.
  void begin(uint64_t r) {
    rounds.open({.learned = r, .sent = r}, /*may_generate=*/true, 0);
    rounds.loaded(Round{r}, {});
    rounds.open({.learned = r, .sent = r}, /*may_generate=*/true, 0);
    // Its record is in the store.
    for (const auto& one : all_of<command::Commit>(outbox.take())) commits.committed(one.ticket);
  }
  Status generated(uint64_t r, uint32_t ordinal, uint64_t version) {
    return rounds.generated({.id = {Round{r}, ordinal},
                             .version = PolicyVersion{version},
                             .responses = {tests::response("ab"), tests::response("c")}},
                            4);
  }
  Status judged(uint64_t r, uint32_t ordinal, const Verdict& first, const Verdict& second) {
    return rounds.judged({.id = {Round{r}, ordinal}, .verdicts = {first, second}}, 0.5);
  }
  // The one batch that there is to commit.
  Batch batch() {
    const auto made = all_of<command::Commit>(outbox.take());
    REQUIRE(made.size() == 1);
    return made[0].batch;
  }
};

TEST_CASE("rounds: one is loaded as soon as it may be asked for, and asked for once loaded") {
  Fixture f;
  f.job.schedule.mode = "pipelined";
  f.job.schedule.lag = 1;
  const auto open = [&](Position position, bool may_generate = true) {
    f.rounds.open(position, may_generate, 0);
    return f.outbox.take();
  };
  // Rounds 0 and 1 are by version 0, round 2 by version 1, which is on its way.
  CHECK(all_of<command::LoadRound>(open({.learned = 0, .sent = 1})).size() == 3);
  CHECK(open({.learned = 0, .sent = 1}).empty());
  CHECK_FALSE(f.rounds.loaded(Round{3}, {}));
  for (uint64_t round = 0; round < 3; ++round) CHECK(f.rounds.loaded(Round{round}, {}));
  CHECK_FALSE(f.rounds.loaded(Round{2}, {}));
  CHECK(open({.learned = 0, .sent = 1}, /*may_generate=*/false).empty());
  const auto asked = open({.learned = 0, .sent = 1});
  REQUIRE(asked.size() == 4);
  CHECK(std::holds_alternative<command::Commit>(asked[0]));  // That it has begun, before it begins.
  CHECK(std::get<command::Generate>(asked[3]).groups.groups[0].id == GroupId{Round{1}, 0});
  CHECK(std::get<command::Generate>(asked[3]).groups.version == PolicyVersion{0});
  const auto next = all_of<command::Generate>(open({.learned = 1, .sent = 1}));
  REQUIRE(next.size() == 1);
  CHECK(next[0].groups.version == PolicyVersion{1});
  CHECK(next[0].groups.groups[1].prompt == f.data.train[1].tokens);
}

TEST_CASE("rounds: a group is admitted when it is durable, and then there is something to learn") {
  Fixture f;
  f.begin(0);
  REQUIRE(f.generated(0, 0, 0));
  REQUIRE(f.generated(0, 1, 0));
  REQUIRE(f.judged(0, 1, right(), wrong()));
  REQUIRE(f.judged(0, 0, wrong(), wrong()));
  CHECK_FALSE(f.rounds.figures(1));
  CHECK(f.rounds.waits_for(0).find("round 0: 2 groups") == 0);
  f.rounds.durable({Round{0}, 1});
  CHECK_FALSE(f.rounds.is_complete(0));
  f.rounds.durable({Round{0}, 0});
  REQUIRE(f.rounds.is_complete(0));
  const Minibatch minibatch = f.rounds.minibatch(0, 0);
  CHECK(minibatch.ids == std::vector<GroupId>{{Round{0}, 0}, {Round{0}, 1}});
  const auto figures = f.rounds.figures(1);
  REQUIRE(figures);
  CHECK(figures->metrics.accuracy == 0.25);
  CHECK(figures->generate_seconds == 4);
  CHECK(figures->verify_seconds == 1);
  CHECK_FALSE(f.rounds.figures(0));
  CHECK_FALSE(f.rounds.figures(2));
}

TEST_CASE("rounds: an answer that comes twice, or that nobody waits for, changes nothing") {
  Fixture f;
  f.begin(0);
  CHECK(f.generated(7, 0, 7));
  CHECK(f.judged(0, 0, right(), right()));  // Nobody has generated it.
  CHECK(f.outbox.take().empty());
  REQUIRE(f.generated(0, 0, 0));
  REQUIRE(f.generated(0, 0, 0));
  REQUIRE(f.judged(0, 0, right(), wrong()));
  REQUIRE(f.judged(0, 0, wrong(), wrong()));
  CHECK_FALSE(f.rounds.abandoned({Round{0}, 0}, "attempts"));
  const auto commands = f.outbox.take();
  CHECK(all_of<command::Judge>(commands).size() == 1);
  CHECK(all_of<command::Commit>(commands).size() == 1);
  const Ledger& ledger = f.commits.ledger();
  CHECK(ledger.trajectories_generated == 2);
  CHECK(ledger.tokens_generated == 3);
  CHECK(ledger.verdicts.at("equal") == 1);
  CHECK(ledger.tokens_regenerated == 0);
}

TEST_CASE("rounds: an answer that cannot be fails the job") {
  Fixture f;
  f.begin(1);
  CHECK_FALSE(f.generated(1, 0, 0));
  CHECK_FALSE(f.generated(1, 0, 2));
  CHECK_FALSE(f.rounds.generated(
      {.id = {Round{1}, 0}, .version = PolicyVersion{1}, .responses = {tests::response("a")}}, 0));
  REQUIRE(f.generated(1, 0, 1));
  CHECK_FALSE(f.rounds.judged({.id = {Round{1}, 0}, .verdicts = {right()}}, 0));
  CHECK_FALSE(
      f.rounds.segments_generated({{.id = {{Round{1}, 1}, 0}, .tokens = {-1}, .logprobs = {0}}}));
}

TEST_CASE(
    "rounds: in an asynchronous schedule a newer version will do, and an older one will not") {
  Fixture f;
  f.job.schedule.mode = "async";
  f.job.schedule.staleness_max_steps = 0;
  f.begin(1);
  CHECK_FALSE(f.generated(1, 0, 0));
  CHECK(f.generated(1, 0, 1));
  CHECK(f.generated(1, 1, 3));
  CHECK(all_of<command::Judge>(f.outbox.take()).size() == 2);
}

TEST_CASE("rounds: a verifier's failure is judged elsewhere twice, then the group is dropped") {
  Fixture f;
  f.begin(0);
  REQUIRE(f.generated(0, 0, 0));
  const auto first = all_of<command::Judge>(f.outbox.take());
  REQUIRE(first.size() == 1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    REQUIRE(f.judged(0, 0, right(), failed()));
    const auto again = all_of<command::Judge>(f.outbox.take());
    REQUIRE(again.size() == 1);
    CHECK(again[0].group.responses == first[0].group.responses);
  }
  REQUIRE(f.judged(0, 0, right(), failed()));
  const Batch batch = f.batch();
  CHECK(tests::written(batch, RecordKind::kDrop, decode_drop_record).reason == "infra_error");
  const Ledger bill = tests::written(batch, RecordKind::kLedger, decode_ledger);
  CHECK(bill.verdicts.at("infra_error") == 3);
  CHECK(bill.verdicts.count("equal") == 0);
  CHECK(bill.trajectories_dropped.at("infra_error") == 2);
  CHECK(bill.trajectories_generated == 2);
  CHECK(f.sink.notes.size() == 1);
  f.rounds.durable({Round{0}, 0});
  REQUIRE(f.generated(0, 1, 0));
  REQUIRE(f.judged(0, 1, right(), right()));
  f.rounds.durable({Round{0}, 1});
  REQUIRE(f.rounds.is_complete(0));
  CHECK(f.rounds.minibatch(0, 0).ids == std::vector<GroupId>{{Round{0}, 1}});
}

TEST_CASE("rounds: what is wrong with a reference is no failure of the verifier") {
  Fixture f;
  f.begin(0);
  REQUIRE(f.generated(0, 0, 0));
  static_cast<void>(f.outbox.take());
  REQUIRE(f.judged(0, 0, right(), tests::verdict(VerdictKind::kGoldUnparseable)));
  CHECK(tests::written(f.batch(), RecordKind::kDrop, decode_drop_record).reason ==
        "gold_unparseable");
}

TEST_CASE("rounds: what was told of a response that is lost is not generated again") {
  Fixture f;
  f.begin(0);
  const auto told = [&](uint32_t begin) {
    REQUIRE(f.rounds.segments_generated(
        {{.id = {{Round{0}, 0}, 0}, .begin = begin, .tokens = {1}, .logprobs = {-1}}}));
    return f.batch().writes.at(0).key;
  };
  CHECK(told(0) == RecordKey{1, RecordKind::kSegments, 0, 0});
  f.rounds.retried({.id = {Round{0}, 0}, .faults = 1});
  CHECK(tests::written(f.batch(), RecordKind::kAttempt, decode_attempt_record).faults == 1);
  CHECK(told(1) == RecordKey{1, RecordKind::kSegments, 0, 1});  // Not known when it was lost.
  REQUIRE(f.generated(0, 0, 0));
  REQUIRE(f.judged(0, 0, right(), wrong()));
  const Ledger& ledger = f.commits.ledger();
  CHECK(ledger.tokens_kept == 1);
  CHECK(ledger.tokens_regenerated == 2);
  CHECK(ledger.trajectories_regenerated == 2);
  // A group that nobody has generated costs nothing.
  REQUIRE(f.rounds.abandoned({Round{0}, 1}, "attempts"));
  CHECK(ledger.trajectories_dropped.empty());
  CHECK(ledger.trajectories_generated == 2);
}

TEST_CASE("rounds: a version is needed while something is left to generate by it") {
  Fixture f;
  f.job.schedule.mode = "pipelined";
  f.job.schedule.lag = 1;
  const Rounds& rounds = f.rounds;
  CHECK(rounds.needs_policy(0));
  CHECK_FALSE(rounds.knows_policies(2));
  f.rounds.open({.learned = 1, .sent = 2}, /*may_generate=*/true, 0);
  for (uint64_t round = 1; round < 4; ++round) CHECK(f.rounds.loaded(Round{round}, {}));
  CHECK(rounds.knows_policies(2));
  // Rounds 1, 2 and 3 are by versions 0, 1 and 2.
  CHECK(rounds.oldest_policy_needed(1) == 0);
  CHECK(rounds.unfinished_policies(1) == std::vector<PolicyVersion>{PolicyVersion{0}});
  CHECK(rounds.unfinished_policies(2) == std::vector<PolicyVersion>{PolicyVersion{1}});
  f.rounds.open({.learned = 1, .sent = 2}, /*may_generate=*/true, 0);
  for (uint32_t ordinal : {0, 1}) {
    REQUIRE(f.rounds.abandoned({Round{1}, ordinal}, "attempts"));
    f.rounds.durable({Round{1}, ordinal});
  }
  CHECK(rounds.is_complete(1));
  CHECK(rounds.oldest_policy_needed(1) == 1);
  CHECK(rounds.unfinished_policies(1).empty());
  // Round 6 would be the next of a longer job: it is by version 5.
  CHECK(rounds.oldest_policy_needed(6) == 5);
  CHECK(rounds.needs_policy(5));
  CHECK_FALSE(rounds.needs_policy(6));
}

}  // namespace
}  // namespace troupe::actors
