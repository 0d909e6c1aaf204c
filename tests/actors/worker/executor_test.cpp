// Ranks of a team as the head talks to them, in one process.
#include "actors/worker/executor.h"

#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "actors/crew/step_plan.h"
#include "kernels/collective/zmq_keys.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/formats/checkpoint.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::actors {
namespace {

struct Rank {
  // The last thing that it has said.
  template <class Message>
  const Message& said() const {
    REQUIRE_FALSE(answers.empty());
    const auto* message = std::get_if<Message>(&answers.back());
    REQUIRE(message != nullptr);
    return *message;
  }

  WorkerProgress progress{};
  std::vector<FromWorker> answers{};
  Executor executor{
      *kernels::cpu_backends().front(), progress,
      [this](uint64_t, FromWorker message) { answers.push_back(std::move(message)); }};
};

// A folder with a policy, and leases of a job that begins with it.
struct Fixture {
  Fixture() {
    auto config = tests::tiny_config();
    config.vocab_size = model::ByteTokenizer::kVocabularySize;
    config.bos_token_id = model::ByteTokenizer::kBos;
    config.eos_token_id = model::ByteTokenizer::kEos;
    const model::ParameterLayout layout{config};
    lease.job.policy.config.clear();
    lease.job.policy.model = dir.file("policy");
    lease.job.data.template_name = "plain";
    lease.roles.learner = true;
    lease.context_max = 128;
    REQUIRE(model::save_checkpoint(
        lease.job.policy.model,
        {.config = config, .values = tests::lively_parameters(config, layout, 3)}));
  }

  std::vector<std::unique_ptr<Rank>> team(int num_ranks) const {
    auto keys = kernels::collective::make_seats(num_ranks, /*epoch=*/1);
    REQUIRE(keys);
    std::vector<std::unique_ptr<Rank>> ranks;
    JoinTeam join;
    for (const auto& one : *keys) {
      Lease own = lease;
      own.seat = {.rank = static_cast<uint32_t>(one.rank),
                  .epoch = one.epoch,
                  .address = "ipc://" + dir.file("team"),
                  .public_keys = one.public_keys,
                  .secret_key = one.secret_key,
                  .token = one.token};
      ranks.push_back(std::make_unique<Rank>());
      ranks.back()->executor.execute(0, own);
      join.endpoints.push_back(ranks.back()->said<RankSeated>().endpoint);
    }
    std::vector<std::thread> threads;
    for (const auto& rank : ranks) {
      threads.emplace_back([&join, &rank] { rank->executor.execute(0, join); });
    }
    for (auto& thread : threads) thread.join();
    return ranks;
  }

  LearnShare share(uint64_t version, uint32_t num_ranks, uint32_t rank) const {
    LearnStep step{.version = PolicyVersion{version}, .learning_rate = 1e-3};
    step.demonstrations = {{.tokens = {7, 8, 9}, .loss_mask = {0, 1, 1}}};
    return plan_step(lease.job, step, num_ranks)->at(rank);
  }

  tests::TempDir dir{};
  Lease lease{};
};

TEST_CASE("executor: a rank whose team is broken does nothing more by this lease") {
  Fixture f;
  auto ranks = f.team(2);
  Rank& left = *ranks[0];
  CHECK(left.said<WorkerReady>().weights_sha256 == ranks[1]->said<WorkerReady>().weights_sha256);
  ranks[1].reset();
  // The head has asked for all of this before it knows, and none of it is to fail the job.
  const std::vector<ToWorker> asked = {f.share(1, 2, 0), f.share(2, 2, 0),
                                       PublishPolicy{PolicyVersion{0}, f.dir.file("published")},
                                       SavePoint{PolicyVersion{2}, f.dir.file("point"), {}}};
  for (uint64_t i = 0; i < asked.size(); ++i) {
    CAPTURE(i);
    left.executor.execute(i + 1, asked[i]);
    CHECK(left.said<WorkFailed>().error.code == ErrorCode::kUnavailable);
  }
  // It may get another lease.
  left.executor.execute(0, f.lease);
  CHECK(left.said<WorkerReady>().version == PolicyVersion{0});
  left.executor.execute(9, f.share(1, 1, 0));
  CHECK(left.said<StepLearned>().metrics.version == PolicyVersion{1});
}

}  // namespace
}  // namespace troupe::actors
