// Learners of several ranks, as threads of one process: the same bits as one that is alone, and an
// error instead of a hang where a rank is missing or does not learn the same.
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "kernels/collective/loopback.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/training/learner.h"
#include "tests/support/gpu_host/host_streams.h"
#include "tests/support/learn_batch.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

using tests::grpo_options;
using tests::LearnBatch;
using tests::random_batch;
using tests::sft_options;

struct Setup {
  int ranks = 1;
  int64_t lanes = 4;
  int64_t width = 1;
  int threads = 1;
  bool has_nccl = false;  // It moves what lies on devices; here it is a host's.
  std::chrono::milliseconds patience{20'000};
  TransformerConfig config = tests::tiny_config();
};

// One learner per rank, each with a thread of its own while it is asked for something.
class Team {
 public:
  explicit Team(const Setup& setup) : setup_(setup), layout_(setup.config) {
    if (setup.ranks > 1) meshes_ = kernels::collective::loopback_team(setup.ranks, 1);
    for (int rank = 0; rank < setup.ranks; ++rank) {
      auto& one = ranks_.emplace_back(std::make_unique<Rank>(setup.threads));
      if (setup.ranks > 1) one->communicator = communicator_of(rank);
      one->learner.emplace(*kernels::cpu_backends().front(), setup.config, layout_, one->threads,
                           tests::lively_parameters(setup.config, layout_, 5),
                           Learner::Options{.microbatch_tokens = 64,
                                            .context_max = 64,
                                            .gradient_lanes = setup.lanes,
                                            .lane_width = setup.width,
                                            .has_reference = true,
                                            .seat = {.communicator = one->communicator.get(),
                                                     .patience = setup.patience}});
    }
  }

  Learner& learner(int rank) { return *ranks_[static_cast<size_t>(rank)]->learner; }

  void on_each(const std::function<void(int rank, Learner&)>& work) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < setup_.ranks; ++rank) {
      threads.emplace_back([&, rank] { work(rank, learner(rank)); });
    }
    for (auto& thread : threads) thread.join();
  }

  // Each rank is given its own sequences and the lengths of the others.
  std::vector<StepResult> step(const LearnBatch& batch, const StepOptions& options) {
    std::vector<std::optional<Result<StepResult>>> answers(ranks_.size());
    on_each([&](int rank, Learner& learner) {
      answers[static_cast<size_t>(rank)] = learner.step(own_part(batch, learner), options);
    });
    std::vector<StepResult> results;
    for (auto& answer : answers) {
      REQUIRE_MESSAGE(*answer, (*answer ? "" : answer->error().message));
      results.push_back(**std::move(answer));
    }
    return results;
  }

  static std::vector<LearnSequence> own_part(const LearnBatch& batch, const Learner& learner) {
    std::vector<int64_t> lengths;
    for (const auto& row : batch.rows) lengths.push_back(static_cast<int64_t>(row.tokens.size()));
    const std::vector<bool> is_own = learner.own_sequences(lengths);
    auto sequences = batch.view();
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (!is_own[i]) sequences[i] = {.length_elsewhere = lengths[i]};
    }
    return sequences;
  }

  const ParameterLayout& layout() const { return layout_; }

 private:
  struct Rank {
    explicit Rank(int num_threads) : threads(num_threads) {}
    std::unique_ptr<kernels::Communicator> communicator{};
    Threads threads;
    std::optional<Learner> learner{};
  };
  std::unique_ptr<kernels::Communicator> communicator_of(int rank) const {
    const auto& mesh = meshes_[static_cast<size_t>(rank)];
    if (!setup_.has_nccl) return kernels::collective::communicator(mesh, 0);
    const auto library = kernels::collective::NcclLibrary::open(TROUPE_GPU_HOST_NCCL);
    TROUPE_CHECK(library);
    return kernels::collective::communicator(
        std::make_shared<kernels::collective::NcclTeam>(
            *library, std::make_shared<tests::HostStreams>(), mesh),
        0);
  }

  const Setup setup_;
  const ParameterLayout layout_;
  std::vector<std::shared_ptr<kernels::collective::Mesh>> meshes_{};
  std::vector<std::unique_ptr<Rank>> ranks_{};
};

bool equal(const StepResult& a, const StepResult& b) {
  if (a.sequences.size() != b.sequences.size()) return false;
  for (size_t i = 0; i < a.sequences.size(); ++i) {
    const SequenceResult &x = a.sequences[i], &y = b.sequences[i];
    if (x.log_ratio_abs_sum != y.log_ratio_abs_sum ||
        x.importance_weight_sum != y.importance_weight_sum ||
        x.importance_weight_max != y.importance_weight_max || x.num_truncated != y.num_truncated) {
      return false;
    }
  }
  return a.was_skipped == b.was_skipped && a.was_finite == b.was_finite && a.loss == b.loss &&
         a.gradient_norm == b.gradient_norm && a.tokens == b.tokens &&
         a.tokens_learned == b.tokens_learned && a.entropy == b.entropy && a.kl == b.kl &&
         a.ppo_kl == b.ppo_kl && a.clip_fraction == b.clip_fraction && a.ratio_max == b.ratio_max &&
         a.expert_load_max_violation == b.expert_load_max_violation;
}

// The shards of all ranks one after another.
LearnerState joined(Team& team, int ranks) {
  LearnerState all = team.learner(0).state();
  for (int rank = 1; rank < ranks; ++rank) {
    const LearnerState state = team.learner(rank).state();
    all.masters.insert(all.masters.end(), state.masters.begin(), state.masters.end());
    all.m.insert(all.m.end(), state.m.begin(), state.m.end());
    all.v.insert(all.v.end(), state.v.begin(), state.v.end());
  }
  return all;
}
LearnerState part_of(const LearnerState& all, const FloatRange& shard) {
  LearnerState part = all;
  const auto cut = [&](const std::vector<float>& from) {
    return std::vector<float>(from.begin() + shard.begin, from.begin() + shard.end);
  };
  part.masters = cut(all.masters);
  part.m = cut(all.m);
  part.v = cut(all.v);
  return part;
}
bool equal(const LearnerState& a, const LearnerState& b) {
  return a.masters == b.masters && a.m == b.m && a.v == b.v && a.reference == b.reference &&
         a.beta1_power == b.beta1_power && a.beta2_power == b.beta2_power;
}

struct Step {
  LearnBatch batch{};
  StepOptions options{};
};
// Of which some have fewer micro-batches than lanes, and one has nothing to learn.
std::vector<Step> steps() {
  LearnBatch nothing = random_batch(6, 9);
  for (auto& row : nothing.rows) row.loss_mask.assign(row.tokens.size(), 0);
  return {{random_batch(1, 29), sft_options()},
          {random_batch(2, 31), grpo_options()},
          {random_batch(3, 1), grpo_options()},
          {nothing, sft_options()},
          {random_batch(4, 12), grpo_options()}};
}

TEST_CASE("team learner: results, weights and moments do not depend on the number of ranks") {
  for (const int64_t lanes : {2, 4, 8}) {
    Team alone({.lanes = lanes});
    std::vector<StepResult> want;
    for (const Step& step : steps()) want.push_back(alone.step(step.batch, step.options)[0]);
    CHECK(want[1].kl > 0);
    CHECK(want[2].kl > 0);
    CHECK(want[3].was_skipped);
    const LearnerState state = joined(alone, 1);
    for (int ranks = 2; ranks <= lanes; ranks *= 2) {
      for (const int threads : {1, 2}) {
        CAPTURE(lanes);
        CAPTURE(ranks);
        CAPTURE(threads);
        Team team({.ranks = ranks, .lanes = lanes, .threads = threads});
        for (size_t i = 0; i < want.size(); ++i) {
          const Step step = steps()[i];
          CAPTURE(i);
          for (const StepResult& got : team.step(step.batch, step.options)) {
            CHECK(equal(got, want[i]));
          }
        }
        CHECK(equal(joined(team, ranks), state));
        for (int rank = 0; rank < ranks; ++rank) {
          CHECK(team.learner(rank).published() == alone.learner(0).published());
        }
      }
    }
  }
}

// Of many micro-batches, so that waves follow each other and the last is short; and of fewer than
// there are slots.
std::vector<Step> steps_of_waves() {
  return {{random_batch(1, 97), sft_options()},
          {random_batch(2, 131), grpo_options()},
          {random_batch(3, 3), grpo_options()},
          {random_batch(4, 61), grpo_options()}};
}

TEST_CASE("team learner: nor on who moves the bytes") {
  for (const auto& [lanes, width, ranks] : {std::tuple{4, 1, 4}, {4, 2, 8}}) {
    Team alone({.lanes = lanes, .width = width});
    Team team({.ranks = ranks, .lanes = lanes, .width = width, .has_nccl = true});
    for (const Step& step : steps()) {
      const StepResult want = alone.step(step.batch, step.options)[0];
      for (const StepResult& got : team.step(step.batch, step.options)) CHECK(equal(got, want));
    }
    CHECK(equal(joined(team, ranks), joined(alone, 1)));
  }
}

TEST_CASE("team learner: nor do they where several ranks share a lane") {
  const struct {
    int64_t lanes, width;
    std::vector<int> ranks;
  } teams[] = {{1, 2, {2}}, {1, 8, {8}}, {2, 4, {2, 8}}, {1, 16, {2, 16}}, {4, 2, {2, 8}}};
  std::vector<std::vector<float>> weights;
  for (const auto& [lanes, width, ranks] : teams) {
    Team alone({.lanes = lanes, .width = width});
    std::vector<StepResult> want;
    for (const Step& step : steps_of_waves()) {
      want.push_back(alone.step(step.batch, step.options)[0]);
    }
    weights.push_back(joined(alone, 1).masters);
    for (const int count : ranks) {
      for (const int threads : {1, 2}) {
        CAPTURE(lanes);
        CAPTURE(width);
        CAPTURE(count);
        CAPTURE(threads);
        Team team({.ranks = count, .lanes = lanes, .width = width, .threads = threads});
        for (size_t i = 0; i < want.size(); ++i) {
          const Step step = steps_of_waves()[i];
          CAPTURE(i);
          for (const StepResult& got : team.step(step.batch, step.options)) {
            CHECK(equal(got, want[i]));
            CHECK(got.digest == want[i].digest);
          }
        }
        CHECK(equal(joined(team, count), joined(alone, 1)));
        CHECK(team.learner(count - 1).published() == alone.learner(0).published());
      }
    }
  }
  // The order of the sum is another one, and no other bits would say that it is heeded.
  for (size_t i = 1; i < weights.size(); ++i) CHECK(weights[i] != weights[i - 1]);
}

TEST_CASE("team learner: each rank holds its part of masters and moments, moved in pieces") {
  TransformerConfig config = tests::tiny_config();
  config.vocab_size = 150'000;  // Many chunks, and more than a piece in each shard.
  Team alone({.config = config}), team({.ranks = 4, .config = config});
  const auto all = static_cast<double>(team.layout().num_floats());
  for (int rank = 0; rank < 4; ++rank) {
    CHECK(static_cast<double>(team.learner(rank).shard().count()) < 0.26 * all);
    CHECK(team.learner(rank).shard().count() > TeamExchange::kPieceFloats);
    CHECK(static_cast<int64_t>(team.learner(rank).state().masters.size()) ==
          team.learner(rank).shard().count());
  }
  const Step step = steps()[1];
  const StepResult want = alone.step(step.batch, step.options)[0];
  for (const StepResult& got : team.step(step.batch, step.options)) CHECK(equal(got, want));
  CHECK(joined(team, 4).masters == joined(alone, 1).masters);
  CHECK(team.learner(3).published() == alone.learner(0).published());
}

TEST_CASE("team learner: a state goes on with another number of ranks") {
  const std::vector<Step> all = steps();
  Team first({.ranks = 4});
  for (size_t i = 0; i < 2; ++i) first.step(all[i].batch, all[i].options);
  const LearnerState state = joined(first, 4);
  first.step(all[4].batch, all[4].options);
  for (const int ranks : {1, 2, 4}) {
    CAPTURE(ranks);
    Team second({.ranks = ranks});
    second.on_each(
        [&](int, Learner& learner) { CHECK(learner.set_state(part_of(state, learner.shard()))); });
    second.step(all[4].batch, all[4].options);
    CHECK(equal(joined(second, ranks), joined(first, 4)));
  }
}

TEST_CASE("team learner: any rank scores what it is given, alone, and the same") {
  const LearnBatch batch = random_batch(7, 25);
  Team alone({});
  const auto want = alone.learner(0).score(batch.view(), 0.8f);
  Team team({.ranks = 2});
  CHECK(team.learner(0).score(batch.view(), 0.8f) == want);
  CHECK(team.learner(1).score(batch.view(), 0.8f) == want);
}

TEST_CASE("team learner: a rank that is missing is named, and nobody waits for ever") {
  Team team({.ranks = 4, .patience = std::chrono::milliseconds(400)});
  const LearnBatch batch = random_batch(1, 29);
  std::vector<std::optional<Error>> errors(4);
  team.on_each([&](int rank, Learner& learner) {
    if (rank == 2) return;
    const auto stepped = learner.step(Team::own_part(batch, learner), sft_options());
    if (!stepped) errors[static_cast<size_t>(rank)] = stepped.error();
  });
  for (const int rank : {0, 1, 3}) {
    CAPTURE(rank);
    const auto& error = errors[static_cast<size_t>(rank)];
    REQUIRE(error);
    CHECK(error->code == ErrorCode::kUnavailable);
    CHECK_MESSAGE(error->message.find("rank 2") != std::string::npos, error->message);
  }
}

TEST_CASE("team learner: ranks that learn different minibatches are told so") {
  Team team({.ranks = 2, .patience = std::chrono::milliseconds(2'000)});
  const LearnBatch one = random_batch(1, 29), other = random_batch(2, 40);
  std::vector<std::optional<Error>> errors(2);
  team.on_each([&](int rank, Learner& learner) {
    const LearnBatch& batch = rank == 0 ? one : other;
    const auto stepped = learner.step(Team::own_part(batch, learner), grpo_options());
    if (!stepped) errors[static_cast<size_t>(rank)] = stepped.error();
  });
  for (const auto& error : errors) {
    REQUIRE(error);
    CHECK_MESSAGE(error->code == ErrorCode::kInternal, error->message);
  }
}

}  // namespace
}  // namespace troupe::model
