// Learners of several ranks on the kernels of CUDA, whose bytes are moved by the calls of NCCL: the
// bits of one that is alone.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/collective/loopback.h"
#include "model/training/learner.h"
#include "tests/support/cuda_emulated/cuda_emulated.h"
#include "tests/support/gpu_host/host_streams.h"
#include "tests/support/learn_batch.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

using kernels::collective::NcclLibrary;
using kernels::collective::NcclTeam;

struct Learned {
  std::vector<double> losses{}, norms{};
  std::vector<float> masters{};  // Of all ranks, one after another.
  std::vector<std::string> published{};
};

struct Rank {
  std::unique_ptr<kernels::Communicator> communicator{};
  Threads threads{1};
  std::optional<Learner> learner{};
};

// One thread per rank.
template <class Work>
void on_each(size_t ranks, const Work& work) {
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < ranks; ++rank) threads.emplace_back([&work, rank] { work(rank); });
  for (auto& thread : threads) thread.join();
}

Learned learn(size_t num_ranks) {
  const TransformerConfig config = tests::tiny_config();
  const ParameterLayout layout(config);
  std::vector<std::shared_ptr<kernels::collective::Mesh>> meshes;
  if (num_ranks > 1) meshes = kernels::collective::loopback_team(static_cast<int>(num_ranks), 1);
  std::vector<Rank> ranks(num_ranks);
  for (size_t r = 0; r < num_ranks; ++r) {
    if (num_ranks > 1) {
      const auto library = NcclLibrary::open(TROUPE_GPU_HOST_NCCL);
      REQUIRE(library);
      ranks[r].communicator = kernels::collective::communicator(
          std::make_shared<NcclTeam>(*library, std::make_shared<tests::HostStreams>(), meshes[r]),
          0);
    }
    ranks[r].learner.emplace(
        tests::cuda_emulated(), config, layout, ranks[r].threads,
        tests::lively_parameters(config, layout, 5),
        Learner::Options{.microbatch_tokens = 64,
                         .context_max = 64,
                         .gradient_lanes = 2,
                         .has_reference = true,
                         .seat = {.communicator = ranks[r].communicator.get(),
                                  .patience = std::chrono::milliseconds(60'000)}});
  }
  Learned learned;
  for (const uint64_t seed : {1, 2}) {
    const tests::LearnBatch batch = tests::random_batch(seed, 7, 30);
    const StepOptions options = seed == 1 ? tests::sft_options() : tests::grpo_options();
    std::vector<std::optional<Result<StepResult>>> answers(num_ranks);
    on_each(num_ranks, [&](size_t r) {
      std::vector<int64_t> lengths;
      for (const auto& row : batch.rows) lengths.push_back(static_cast<int64_t>(row.tokens.size()));
      const std::vector<bool> is_own = ranks[r].learner->own_sequences(lengths);
      auto sequences = batch.view();
      for (size_t i = 0; i < sequences.size(); ++i) {
        if (!is_own[i]) sequences[i] = {.length_elsewhere = lengths[i]};
      }
      answers[r] = ranks[r].learner->step(sequences, options);
    });
    for (const auto& answer : answers) {
      REQUIRE_MESSAGE(*answer, (*answer ? "" : answer->error().message));
      learned.losses.push_back((**answer).loss);
      learned.norms.push_back((**answer).gradient_norm);
    }
  }
  for (Rank& rank : ranks) {
    const LearnerState state = rank.learner->state();
    learned.masters.insert(learned.masters.end(), state.masters.begin(), state.masters.end());
    learned.published.push_back(tests::digest(rank.learner->published()));
  }
  return learned;
}

TEST_CASE("cuda team learner: two ranks over NCCL learn the bits of one that is alone") {
  const Learned alone = learn(1), team = learn(2);
  for (size_t i = 0; i < team.losses.size(); ++i) {
    CHECK(team.losses[i] == alone.losses[i / 2]);
    CHECK(team.norms[i] == alone.norms[i / 2]);
    CHECK(team.norms[i] > 0);
  }
  CHECK(team.masters == alone.masters);
  for (const std::string& published : team.published) CHECK(published == alone.published[0]);
}

}  // namespace
}  // namespace troupe::model
