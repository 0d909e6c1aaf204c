#include "actors/crew/worker_pool.h"

#include <doctest/doctest.h>

#include "tests/actors/crew/pool_fixture.h"

namespace troupe::actors {
namespace {

using tests::kLearner;
using tests::kRollout;
using tests::kVerifier;
using tests::ordinals;
using Fixture = tests::PoolFixture;

TEST_CASE("worker pool: only the process that was started gets a lease, and once") {
  WorkerPool pool(Fixture::plans({kVerifier}), {}, {});
  pool.start(0);
  CHECK_FALSE(pool.hello({.slot = 0, .token = "", .arithmetic_id = "cpu-1"}, 0));
  pool.started(0, "secret", 7, 0);
  CHECK_FALSE(pool.hello({.slot = 0, .token = "guess", .arithmetic_id = "cpu-1"}, 0));
  CHECK_FALSE(pool.hello({.slot = 1, .token = "secret", .arithmetic_id = "cpu-1"}, 0));
  CHECK(pool.hello({.slot = 0, .token = "secret", .arithmetic_id = "cpu-1"}, 0));
  CHECK_FALSE(pool.hello({.slot = 0, .token = "secret", .arithmetic_id = "cpu-1"}, 0));
}

TEST_CASE("worker pool: what a worker says under an older lease is dropped") {
  Fixture f({kVerifier});
  f.pool.judge({.id = {Round{0}, 3}}, f.now);
  const auto request = f.sent<JudgeGroups>().at(0).first;
  const uint64_t old_epoch = f.epochs[0];
  f.end(0, 9);
  f.restart(0);
  CHECK(f.epochs[0] > old_epoch);
  const auto again = f.sent<JudgeGroups>().at(0).first;
  for (uint64_t id : {request.request_id, again.request_id}) {
    f.pool.received(0, old_epoch, id, GroupsJudged{}, f.now);
    CHECK(f.all<pool::Answer>().empty());
  }
  f.say(0, again.request_id, GroupsJudged{});
  CHECK(f.all<pool::Answer>().size() == 1);
  f.say(0, again.request_id, GroupsJudged{});
  CHECK(f.all<pool::Answer>().empty());
}

TEST_CASE("worker pool: silence and deadlines end a worker, and its end is known by its pid") {
  Fixture f({kVerifier});
  // Time passes in ticks; a long gap between two is the head's own.
  const auto pass = [&f](double seconds) {
    for (int tick = 0; tick < 10; ++tick) f.pool.tick(f.now += seconds / 10);
  };
  pass(1.9);
  CHECK(f.all<pool::Kill>().empty());
  f.say(0, 0, Heartbeat{});
  pass(1.9);
  CHECK(f.all<pool::Kill>().empty());
  pass(0.2);
  REQUIRE(f.all<pool::Kill>().size() == 1);
  f.end(0, 9);  // Known already.
  CHECK(f.all<pool::WorkerLost>().size() == 1);

  f.restart(0);
  f.pool.judge({.id = {Round{0}, 3}}, f.now);
  for (int second = 0; second < 60; ++second) {
    f.say(0, 0, Heartbeat{});
    f.pool.tick(f.now += 1);
  }
  CHECK(f.all<pool::GroupRetried>().empty());
  f.say(0, 0, Heartbeat{});
  f.pool.tick(f.now += 0.1);
  const auto retried = f.all<pool::GroupRetried>();
  REQUIRE(retried.size() == 1);
  CHECK(retried[0].record.faults == 1);
}

Verdict failed_verdict() {
  return {{{.name = "accuracy", .kind = VerdictKind::kInfraError, .reason = "no memory"}}};
}

TEST_CASE("worker pool: a group whose verifier failed is judged elsewhere while there is one") {
  Fixture f({kVerifier, kVerifier});
  f.pool.judge({.id = {Round{0}, 3}}, f.now);
  const auto first = f.sent<JudgeGroups>().at(0).first;
  CHECK(first.slot == 0);
  f.say(0, first.request_id, GroupsJudged{{{{Round{0}, 3}, {}, {failed_verdict()}}}});
  const auto notes = f.all<pool::Note>();
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].line ==
        "worker 0 (verifier) could not judge round 0, group 3: accuracy: no memory");
  f.pool.judge({.id = {Round{0}, 3}}, f.now);
  f.pool.judge({.id = {Round{0}, 4}}, f.now);
  auto sent = f.sent<JudgeGroups>();
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].first.slot == 1);
  CHECK(sent[0].second.groups.at(0).id.ordinal == 3);
  CHECK(sent[1].first.slot == 0);
  CHECK(sent[1].second.groups.at(0).id.ordinal == 4);

  // The one that is left gets it, for want of another.
  f.say(1, sent[0].first.request_id, GroupsJudged{{{{Round{0}, 3}, {}, {failed_verdict()}}}});
  f.end(0, 9);
  f.pool.judge({.id = {Round{0}, 3}}, f.now);
  sent = f.sent<JudgeGroups>();
  REQUIRE(!sent.empty());
  CHECK(sent[0].first.slot == 1);
}

TEST_CASE("worker pool: verifiers that wait for programs get time for each response, and a share") {
  WorkerPool::Options options;
  options.judge_max = 60;
  options.judge_each_max = 12;
  Fixture f({kVerifier, kVerifier}, options, /*verifier_threads=*/2);
  // 8 responses on 2 threads: 4 * 12 s. Two of them are more than the 60 s of one request.
  const auto group = [](uint32_t ordinal) {
    return GroupToJudge{.id = {Round{0}, ordinal}, .responses = std::vector<TextToJudge>(8)};
  };
  f.pool.judge(group(0), f.now);
  f.pool.judge(group(1), f.now);
  auto sent = f.sent<JudgeGroups>();
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].second.groups.size() == 1);
  CHECK(sent[0].first.deadline_ms == 108'000);
  CHECK(sent[1].first.slot == 1);
  for (uint32_t ordinal = 2; ordinal < 5; ++ordinal) f.pool.judge(group(ordinal), f.now);
  CHECK(f.sent<JudgeGroups>().empty());
  f.say(1, sent[1].first.request_id, GroupsJudged{{{{Round{0}, 1}, {}, {}}}});
  CHECK(f.sent<JudgeGroups>().at(0).second.groups.size() == 1);

  // Worker 0 breathes and holds its group too long; worker 1 is given it, and told why.
  const auto breathe = [&](double seconds) {
    for (double end = f.now + seconds; f.now < end;) {
      f.say(0, 0, Heartbeat{});
      f.say(1, 0, Heartbeat{});
      f.pool.tick(f.now += 0.5);
    }
  };
  breathe(107);
  CHECK(f.all<pool::WorkerLost>().empty());
  f.all<pool::Note>();
  breathe(2);
  const auto notes = f.all<pool::Note>();
  REQUIRE(!notes.empty());
  CHECK(notes[0].line == "worker 0 (verifier) is lost: 1 groups not judged within 108 s");
  CHECK(f.all<pool::GroupRetried>().size() >= 1);
}

TEST_CASE("worker pool: who does not come up is started ever later") {
  WorkerPool pool(Fixture::plans({kVerifier}), {}, {});
  double now = 0;
  pool.start(now);
  std::vector<double> waits;
  for (int i = 0; i < 9; ++i) {
    pool.start_failed(0, "no memory", now);
    pool.take_commands();
    const double failed = now;
    while (true) {
      pool.tick(now);
      const auto commands = pool.take_commands();
      if (!commands.empty()) break;
      now += 0.25;
    }
    waits.push_back(now - failed);
  }
  CHECK(waits == std::vector<double>{0, 0.25, 0.5, 1, 2, 4, 8, 10, 10});
}

TEST_CASE("worker pool: lost work goes to others, in order and before what waits") {
  Fixture f({kVerifier, {.rollout = true, .learner = true}});
  f.generate(4);
  const auto first = f.sent<GenerateGroups>().at(0);
  CHECK(ordinals(first.second) == std::vector<uint32_t>{0, 1, 2, 3});
  GroupsGenerated some;
  some.groups.push_back({.id = {Round{0}, 2}});
  f.say(1, first.first.request_id, some);
  CHECK(f.all<pool::Answer>().size() == 1);
  f.end(1, 9);
  CHECK(f.all<pool::GroupRetried>().size() == 3);
  CHECK(f.all<pool::LearnerLost>().size() == 1);
  f.restart(1);
  CHECK(ordinals(f.sent<GenerateGroups>().at(0).second) == std::vector<uint32_t>{0, 1, 3});
}

TEST_CASE("worker pool: who gets lost work goes on from what was told of it") {
  Fixture f({kVerifier, {.rollout = true, .learner = true}},
            WorkerPool::Options{.begun_tokens = 3});
  f.generate(4, 0, 0, /*segment_tokens=*/2);
  const auto first = f.sent<GenerateGroups>().at(0);
  const auto part = [](uint32_t ordinal, uint32_t sample, uint32_t begin, int32_t token) {
    return ResponseSegment{.id = {{Round{0}, ordinal}, sample},
                           .begin = begin,
                           .tokens = {token, token + 1},
                           .logprobs = {-1.0f, -2.0f}};
  };
  // In order, twice, with a gap, of a sample that nobody asked for, of a group that is finished.
  f.say(1, first.first.request_id,
        GroupsGenerated{.groups = {{.id = {Round{0}, 2}}},
                        .segments = {part(0, 0, 0, 5), part(0, 0, 2, 7), part(0, 0, 2, 7),
                                     part(1, 0, 2, 9), part(1, 1, 0, 9), part(2, 0, 0, 9)}});
  const auto answers = f.all<pool::Answer>();
  REQUIRE(answers.size() == 1);
  CHECK(std::get<GroupsGenerated>(answers[0].message).segments.size() == 2);
  f.end(1, 9);
  f.restart(1);
  const auto again = f.sent<GenerateGroups>().at(0).second;
  // No more at once than fits into a message.
  CHECK(ordinals(again) == std::vector<uint32_t>{0});
  REQUIRE(again.groups[0].begun.size() == 1);
  CHECK(again.groups[0].begun[0].begin == 0);
  CHECK(again.groups[0].begun[0].tokens == std::vector<int32_t>{5, 6, 7, 8});
  CHECK(again.groups[0].begun[0].logprobs == std::vector<float>{-1, -2, -1, -2});
}

TEST_CASE("worker pool: parts of responses that nobody asked for are dropped") {
  Fixture f({kVerifier, {.rollout = true, .learner = true}});
  f.generate(1);
  f.say(1, f.sent<GenerateGroups>().at(0).first.request_id,
        GroupsGenerated{.segments = {{.id = {{Round{0}, 0}, 0}, .tokens = {5}, .logprobs = {-1}}}});
  const auto answers = f.all<pool::Answer>();
  REQUIRE(answers.size() == 1);
  CHECK(std::get<GroupsGenerated>(answers[0].message).segments.empty());
}

TEST_CASE("worker pool: a group that comes further with each kill is no reason to pause") {
  Fixture f({kLearner, kRollout}, WorkerPool::Options{.kills_max = 3});
  f.publish(0, 0);
  f.generate(1, 0, 0, /*segment_tokens=*/1);
  for (uint32_t begin = 0; begin < 5; ++begin) {
    f.say(1, f.sent<LoadPolicy>().at(0).first.request_id, PolicyLoaded{});
    const ResponseSegment next{
        .id = {{Round{0}, 0}, 0}, .begin = begin, .tokens = {5}, .logprobs = {-1}};
    f.say(1, f.sent<GenerateGroups>().at(0).first.request_id, GroupsGenerated{.segments = {next}});
    f.end(1, 9);
    f.restart(1);
  }
  CHECK(f.all<pool::GiveUp>().empty());
}

TEST_CASE("worker pool: an answer to what was cancelled is dropped, a request id is never reused") {
  Fixture f({{.rollout = true, .learner = true}});
  f.generate(1);
  const uint64_t first = f.sent<GenerateGroups>().at(0).first.request_id;
  f.pool.cancel_groups(f.now);
  CHECK(f.sent<CancelGeneration>().at(0).first.request_id == first);
  f.generate(1);
  const uint64_t second = f.sent<GenerateGroups>().at(0).first.request_id;
  CHECK(second > first);
  GroupsGenerated generated;
  generated.groups.push_back({.id = {Round{0}, 0}});
  f.say(0, first, generated);
  CHECK(f.all<pool::Answer>().empty());
  f.say(0, second, generated);
  CHECK(f.all<pool::Answer>().size() == 1);
}

TEST_CASE("worker pool: faults drop a group after three, kills pause the job after twenty") {
  Fixture f({kVerifier});
  f.pool.judge({.id = {Round{0}, 3}}, f.now);
  for (int i = 0; i < 19; ++i) {
    f.end(0, 9);
    f.restart(0);
  }
  CHECK(f.all<pool::GiveUp>().empty());
  CHECK(f.all<pool::GroupAbandoned>().empty());
  f.end(0, 9);
  const auto given_up = f.all<pool::GiveUp>();
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kPaused);

  Fixture g({kVerifier});
  g.pool.restore_attempts({{.id = {Round{0}, 3}, .faults = 1, .kills = 0}});
  g.pool.judge({.id = {Round{0}, 3}}, g.now);
  g.end(0, 11);
  CHECK(g.all<pool::GroupAbandoned>().empty());
  g.restart(0);
  g.end(0, 6);
  CHECK(g.all<pool::GroupAbandoned>().size() == 1);
  g.restart(0);
  CHECK(g.sent<JudgeGroups>().size() == 2);  // Not a third time.
}

TEST_CASE("worker pool: a rollout without the learner loads what the learner publishes") {
  Fixture f({kLearner, kRollout});
  f.generate(2);
  const auto publish = f.sent<PublishPolicy>().at(0);
  CHECK(publish.first.slot == 0);
  f.say(0, publish.first.request_id,
        PolicyPublished{.version = {}, .path = "file", .weights_sha256 = "digest"});
  const auto load = f.sent<LoadPolicy>().at(0);
  CHECK(load.first.slot == 1);
  CHECK(load.second.path == "file");
  f.say(1, load.first.request_id, PolicyLoaded{});
  CHECK(f.sent<GenerateGroups>().at(0).first.slot == 1);
}

TEST_CASE("worker pool: rounds are generated in order, each by its version, while there is one") {
  Fixture f({kLearner, kRollout});
  f.publish(0, 4);
  f.publish(0, 6);
  f.generate(1, 3, 6);
  f.say(1, f.sent<LoadPolicy>().at(0).first.request_id, PolicyLoaded{PolicyVersion{6}, {}});
  const auto first = f.sent<GenerateGroups>().at(0);
  CHECK(first.second.version == PolicyVersion{6});
  // Asked for later, and older.
  f.generate(1, 4, 8);
  f.generate(1, 2, 4);
  f.say(1, first.first.request_id,
        GroupsGenerated{.groups = {{.id = {Round{3}, 0}}}, .is_last = true});
  const auto load = f.sent<LoadPolicy>().at(0);
  CHECK(load.second.version == PolicyVersion{4});
  // It is being read, so its file stays.
  f.pool.retire_policies(PolicyVersion{6});
  CHECK(f.all<pool::RemoveFile>().empty());
  f.say(1, load.first.request_id, PolicyLoaded{PolicyVersion{4}, {}});
  REQUIRE(f.all<pool::RemoveFile>().size() == 1);
  CHECK(f.sent<GenerateGroups>().at(0).second.groups.at(0).id.round == Round{2});
  CHECK(!f.pool.has_policy(PolicyVersion{4}));
  CHECK(f.pool.has_policy(PolicyVersion{6}));
  f.now += 7;
  CHECK(f.pool.who_works(f.now).find("generating 1 groups, 0 of 0 responses for 7 s") !=
        std::string::npos);
  f.end(1, 9);
  f.now += 3;
  CHECK(f.pool.who_works(f.now).find("lost: killed by signal 9 for 3 s") != std::string::npos);
}

TEST_CASE("worker pool: where the newest is taken, it goes to work that is under way") {
  WorkerPool::Options options;
  options.takes_newest = true;
  Fixture f({kLearner, kRollout}, options);
  f.publish(0, 4);
  GenerateGroups request{.version = PolicyVersion{2}};  // The oldest that will do.
  request.groups.push_back({.id = {Round{0}, 0}});
  f.pool.generate(std::move(request), f.now);
  f.say(1, f.sent<LoadPolicy>().at(0).first.request_id, PolicyLoaded{PolicyVersion{4}, {}});
  CHECK(f.sent<GenerateGroups>().at(0).second.version == PolicyVersion{4});
  f.publish(0, 6);
  CHECK(f.sent<LoadPolicy>().at(0).second.version == PolicyVersion{6});
  CHECK(f.all<pool::RemoveFile>().size() == 1);
  f.publish(0, 8);  // One after another.
  CHECK(f.sent<LoadPolicy>().empty());
}

TEST_CASE("worker pool: a policy that is not loaded in time costs its worker") {
  Fixture f({kLearner, kRollout});
  f.generate(1);
  f.say(0, f.sent<PublishPolicy>().at(0).first.request_id, PolicyPublished{});
  CHECK(f.sent<LoadPolicy>().size() == 1);
  for (int second = 0; second < 61; ++second) {
    for (uint32_t slot : {0, 1}) f.say(slot, 0, Heartbeat{});
    f.pool.tick(f.now += 1);
  }
  const auto killed = f.all<pool::Kill>();
  REQUIRE(killed.size() == 1);
  CHECK(killed[0].slot == 1);
}

TEST_CASE("worker pool: a learner that is lost three times by its own fault fails the job") {
  Fixture f({kLearner});
  for (int i = 0; i < 3; ++i) {
    CHECK(f.all<pool::GiveUp>().empty());
    f.pool.learn({.version = PolicyVersion{5}}, f.now);
    f.end(0, 11);
    f.restart(0);
  }
  const auto given_up = f.all<pool::GiveUp>();
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kFailed);
  CHECK(given_up[0].error.message ==
        "the learner was lost 3 times in a row at learning step 5: killed by signal 11");
}

TEST_CASE("worker pool: steps learned again are no progress, new ones are") {
  Fixture f({kLearner});
  const auto learn = [&f](uint64_t version) {
    f.pool.learn({.version = PolicyVersion{version}}, f.now);
    return f.sent<LearnShare>().at(0).first.request_id;
  };
  const auto learned = [&f](uint64_t request, uint64_t version) {
    StepLearned answer;
    answer.metrics.version = PolicyVersion{version};
    f.say(0, request, answer);
  };
  learned(learn(6), 6);
  for (int i = 0; i < 3; ++i) {
    CHECK(f.all<pool::GiveUp>().empty());
    learned(learn(6), 6);  // From the recovery point on, again.
    static_cast<void>(learn(7));
    f.end(0, 11);
    f.restart(0);
  }
  REQUIRE(f.all<pool::GiveUp>().size() == 1);

  Fixture g({kLearner});
  for (uint64_t version = 1; version < 10; ++version) {
    g.pool.learn({.version = PolicyVersion{version}}, g.now);
    StepLearned answer;
    answer.metrics.version = PolicyVersion{version};
    g.say(0, g.sent<LearnShare>().at(0).first.request_id, answer);
    g.end(0, 11);
    g.restart(0);
  }
  CHECK(g.all<pool::GiveUp>().empty());
}

TEST_CASE("worker pool: a group whose worker failed goes alone and takes no other with it") {
  Fixture f({kRollout, kLearner});
  f.generate(4);
  const auto publish = f.sent<PublishPolicy>().at(0).first;
  f.say(1, publish.request_id, PolicyPublished{.path = "p"});
  const auto load = [&f] {
    f.say(0, f.sent<LoadPolicy>().at(0).first.request_id, PolicyLoaded{});
    return f.sent<GenerateGroups>().at(0);
  };
  CHECK(ordinals(load().second) == std::vector<uint32_t>{0, 1, 2, 3});
  f.end(0, 11);
  f.restart(0);
  const auto alone = load();
  CHECK(ordinals(alone.second) == std::vector<uint32_t>{0});
  // It was not this one: the next is tried.
  f.say(0, alone.first.request_id,
        GroupsGenerated{.groups = {{.id = {Round{0}, 0}}}, .is_last = true});
  CHECK(ordinals(f.sent<GenerateGroups>().at(0).second) == std::vector<uint32_t>{1});
}

TEST_CASE("worker pool: a worker that never comes up pauses the job, and says where to look") {
  WorkerPool::Options options;
  options.log_path = "workers.log";
  WorkerPool pool(Fixture::plans({kVerifier}), {}, options);
  double now = 0;
  pool.start(now);
  uint64_t pid = 100;
  std::vector<pool::GiveUp> given_up;
  for (int i = 0; i < 10; ++i) {
    CHECK(given_up.empty());
    pool.started(0, "token", ++pid, now);
    pool.ended({.slot = 0, .pid = pid, .exit_code = 127, .signal = 0}, now);
    for (const auto& command : pool.take_commands()) {
      if (const auto* one = std::get_if<pool::GiveUp>(&command)) given_up.push_back(*one);
    }
    pool.tick(now += 11);
  }
  REQUIRE(given_up.size() == 1);
  CHECK(given_up[0].state == JobState::kPaused);
  CHECK(given_up[0].error.message.find("workers.log") != std::string::npos);
}

TEST_CASE("worker pool: groups that a verifier left out are asked again") {
  Fixture f({kVerifier});
  f.pool.judge({.id = {Round{0}, 1}}, f.now);
  const auto first = f.sent<JudgeGroups>().at(0).first;
  f.pool.judge({.id = {Round{0}, 2}}, f.now);
  f.say(0, first.request_id, GroupsJudged{});
  const auto again = f.sent<JudgeGroups>().at(0).second;
  REQUIRE(again.groups.size() == 2);
}

// Two ranks and a rollout.
WorkerPool::Options with_seats(WorkerPool::Options options = {}) {
  options.make_seats = [](uint32_t num_ranks, uint64_t epoch) {
    const std::vector<std::string> keys(num_ranks, std::to_string(epoch));
    std::vector<TeamSeat> seats;
    for (uint32_t rank = 0; rank < num_ranks; ++rank) {
      seats.push_back({.rank = rank, .epoch = epoch, .public_keys = keys});
    }
    return seats;
  };
  return options;
}
const std::vector<Roles> kTeam{kLearner, kLearner, kRollout};
const WorkFailed kCannotReach{{ErrorCode::kUnavailable, "rank 1 is gone"}};

std::vector<uint32_t> killed(Fixture& f) {
  std::vector<uint32_t> slots;
  for (const auto& kill : f.all<pool::Kill>()) slots.push_back(kill.slot);
  return slots;
}

TEST_CASE("worker pool: ranks that end before they have a seat are no loss of the learner") {
  Fixture f(kTeam, with_seats({.learner_faults_max = 2}));
  f.end(1, 9);
  // The slots come up again and again, and never say hello.
  for (int i = 0; i < 4; ++i) {
    f.now += 20;
    f.say(2, 0, Heartbeat{});
    f.pool.tick(f.now);
    for (const uint32_t slot : {0u, 1u}) {
      f.pids[slot] = ++f.next_pid;
      f.pool.started(slot, "token", f.pids[slot], f.now);
      f.end(slot, 11);
    }
  }
  CHECK(f.all<pool::GiveUp>().empty());
}

TEST_CASE("worker pool: with one rank of the learner the others end, and nobody else") {
  Fixture f(kTeam, with_seats());
  CHECK(f.all<pool::LearnerReady>().size() == 1);
  CHECK(f.sent<Lease>().at(1).second.seat.rank == 1);
  f.end(1, 9);
  CHECK(killed(f) == std::vector<uint32_t>{1, 0});
  CHECK(f.all<pool::LearnerLost>().size() == 1);
  CHECK(f.all<pool::WorkerLost>().size() == 1);  // The other one goes with it.
  // What the other one had in hand is no longer heard.
  f.say(0, 0, WorkerReady{});
  CHECK(f.all<pool::LearnerReady>().empty());
}

TEST_CASE("worker pool: a rank that cannot reach another waits for word of who is gone") {
  Fixture f(kTeam, with_seats());
  f.say(0, 0, kCannotReach);
  f.pool.tick(f.now += 0.3);
  CHECK(killed(f).empty());
  f.end(1, 9);
  CHECK(killed(f) == std::vector<uint32_t>{1, 0});
  CHECK(f.all<pool::GiveUp>().empty());
  // Nobody is: then it goes, and the others with it.
  Fixture g(kTeam, with_seats());
  g.say(0, 0, kCannotReach);
  g.pool.tick(g.now += 0.6);
  CHECK(killed(g) == std::vector<uint32_t>{0, 1});
  CHECK(g.all<pool::LearnerLost>().size() == 1);
  CHECK(g.all<pool::GiveUp>().empty());
}

TEST_CASE("worker pool: of ranks that are late the one is lost that the others wait for") {
  Fixture f(kTeam, with_seats({.learn_max = 10}));
  f.pool.learn({.version = PolicyVersion{1}}, f.now);
  f.all<pool::Note>();
  for (int second = 0; second < 11; ++second) {
    for (const uint32_t slot : {0u, 1u, 2u}) {
      f.say(slot, 0, Heartbeat{.operation = "all_to_all", .waits_for_rank = slot == 0 ? 1 : -1});
    }
    f.pool.tick(f.now += 1);
  }
  CHECK(killed(f) == std::vector<uint32_t>{1, 0});
  CHECK(f.all<pool::Note>().at(0).line ==
        "worker 1 (learner) is lost: learning step 1 not done within 10 s");
}

TEST_CASE("worker pool: what a rollout has goes to others when its place is wanted") {
  Fixture f({kLearner, kRollout, kRollout});
  f.generate(4);
  f.publish(0, 0);
  const auto loads = f.sent<LoadPolicy>();
  REQUIRE(loads.size() == 2);
  for (const auto& [load, policy] : loads) f.say(load.slot, load.request_id, PolicyLoaded{});
  CHECK(f.sent<GenerateGroups>().size() == 2);
  f.all<pool::Start>();
  f.pool.place({{}, {}, {.is_there = false}}, f.now);
  CHECK(killed(f) == std::vector<uint32_t>{2});
  // Nobody's fault, and no loss for people to look into.
  const auto retried = f.all<pool::GroupRetried>();
  CHECK(retried.size() == 2);
  for (const auto& one : retried) {
    CHECK(one.record.faults == 0);
    CHECK(one.record.kills == 0);
  }
  CHECK(f.all<pool::WorkerLost>().empty());
  CHECK(f.all<pool::GiveUp>().empty());
  CHECK(f.all<pool::Start>().empty());
  // What comes next is shared out among those that are there.
  f.pool.cancel_groups(f.now);
  f.generate(4, 1);
  const auto given = f.sent<GenerateGroups>();
  REQUIRE(given.size() == 1);
  CHECK(given[0].first.slot == 1);
  CHECK(given[0].second.groups.size() == 4);
  f.pool.place({{}, {}, {}}, f.now);
  CHECK(f.all<pool::Start>().size() == 1);
}

TEST_CASE("worker pool: a worker whose place is another one begins there") {
  Fixture f({kVerifier});
  f.all<pool::Start>();
  f.pool.place({{.is_there = true, .is_another = true}}, f.now);
  CHECK(killed(f) == std::vector<uint32_t>{0});
  CHECK(f.all<pool::Start>().size() == 1);
  f.bring_up(0);
  f.pool.place({{}}, f.now);
  CHECK(killed(f).empty());
}

}  // namespace
}  // namespace troupe::actors
