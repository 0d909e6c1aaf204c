#include "actors/controller/open_round.h"

#include "actors/controller/group_texts.h"
#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

constexpr int64_t kVocabSize = 200;

GroupRecord group(uint32_t ordinal, bool has_variance) {
  GroupRecord made;
  for (uint32_t sample = 0; sample < 2; ++sample) {
    made.trajectories.push_back(make_trajectory({{Round{5}, ordinal}, sample}, 0, {.tokens = {'q'}},
                                                PolicyVersion{5}, tests::response("x")));
    const bool is_right = has_variance && sample == 0;
    made.trajectories.back().verdict = is_right ? tests::right() : tests::wrong();
  }
  return made;
}

std::vector<uint32_t> admitted(const Minibatch& minibatch) {
  std::vector<uint32_t> ordinals;
  for (const GroupId& id : minibatch.ids) ordinals.push_back(id.ordinal);
  return ordinals;
}

TEST_CASE("open round: what the store has is decided, and replacements behind it") {
  JobSpec job = tests::small_job();
  job.grpo.prompts_per_round = 3;
  job.grpo.zero_variance_groups = "replace";
  OpenRound round(job, Round{5});
  RoundHistory history;
  // 0 is dropped, 1 has no variance: 3 and 4 replace them, 5 replaces 4. Nobody asked for 7.
  history.groups = {group(7, true), group(2, true), group(1, false), group(3, true),
                    group(4, false)};
  history.drops = {{.id = {Round{5}, 0}, .reason = "attempts"}};
  history.was_begun = true;
  round.load(std::move(history), kVocabSize);
  CHECK(round.plan.wanted() == std::vector<uint32_t>{5});
  CHECK_FALSE(round.is_complete());
  CHECK(round.begin(5).empty());
  CHECK_FALSE(round.groups.at(5).is_again);  // Replacements are first known now.
  round.groups.at(5).record = group(5, true);
  round.groups.at(5).has_variance = true;
  round.groups.at(5).encoded = encode(round.groups.at(5).record);
  round.admit(5);
  REQUIRE(round.is_complete());
  const Minibatch minibatch = round.minibatch(0);
  CHECK(admitted(minibatch) == std::vector<uint32_t>{2, 3, 5});
  CHECK(minibatch.groups.size() == 3);
  CHECK(minibatch.groups[0] == encode(group(2, true)));
  round.complete_metrics(model::Tokenizer());
  // Those without variance count, the dropped one does not.
  CHECK(round.figures().metrics.tokens_generated == 10);
}

TEST_CASE("open round: a response goes on from parts without a gap") {
  const JobSpec job = tests::small_job();
  OpenRound round(job, Round{5});
  const auto segment = [](uint32_t ordinal, uint32_t begin, int32_t token) {
    return ResponseSegment{.id = {{Round{5}, ordinal}, 0},
                           .begin = begin,
                           .tokens = {token, token},
                           .logprobs = {-1, -1}};
  };
  RoundHistory history;
  history.segments = {segment(0, 0, 'a'), segment(0, 2, 'b'), segment(0, 5, 'c'),
                      segment(1, 0, kVocabSize), segment(1, 2, 'a')};
  history.num_segment_records = 4;
  round.load(std::move(history), kVocabSize);
  CHECK(round.next_segments == 4);
  const ResponseSegments begun = round.begin(0);
  CHECK(num_tokens(begun) == 4);
  CHECK(round.groups.at(0).is_again);
  CHECK(round.groups.at(0).tokens_kept == 4);
  CHECK(round.begin(1).empty());
  CHECK(round.groups.at(1).tokens_kept == 0);
}

TEST_CASE("open round: later groups come with the first minibatch, where a correction wants them") {
  JobSpec job = tests::small_job();
  job.grpo.prompts_per_round = 3;
  job.grpo.minibatches_per_round = 3;
  OpenRound round(job, Round{5});
  RoundHistory history;
  for (uint32_t ordinal = 0; ordinal < 3; ++ordinal) {
    history.groups.push_back(group(ordinal, true));
  }
  round.load(std::move(history), kVocabSize);
  REQUIRE(round.is_complete());
  CHECK(round.minibatch(0).later.empty());
  job.grpo.off_policy_correction = "truncated";
  const Minibatch first = round.minibatch(0);
  CHECK(admitted(first) == std::vector<uint32_t>{0});
  REQUIRE(first.later.size() == 2);
  CHECK(first.later[1] == EncodedGroups{encode(group(2, true))});
  CHECK(admitted(round.minibatch(1)) == std::vector<uint32_t>{1});
  CHECK(round.minibatch(1).later.empty());
}

}  // namespace
}  // namespace troupe::actors
