// A rollout whose policy changes in flight says which token is by which version, and each token has
// the log-probability that the learner's forward gives for that version.
#include "actors/rollout/rollout_role.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>

#include "kernels/cpu/cpu_backend.h"
#include "model/formats/checkpoint.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/training/learner.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::actors {
namespace {

constexpr int64_t kContextMax = 64;

const kernels::Backend& backend() { return *kernels::cpu_backends().front(); }

model::TransformerConfig byte_config() {
  auto config = tests::tiny_config();
  config.vocab_size = model::ByteTokenizer::kVocabularySize;
  config.bos_token_id = model::ByteTokenizer::kBos;
  config.eos_token_id = model::ByteTokenizer::kEos;
  return config;
}

// Two versions of a policy as files, and the learner's forward for each.
class Versions {
 public:
  LoadPolicy file(uint64_t version) {
    const std::string path = dir_.file(std::to_string(version));
    const auto values = values_of(version);
    REQUIRE(model::write_policy_file(path, config, values));
    return {PolicyVersion{version}, path, model::checkpoint_sha256(config, values)};
  }

  std::vector<float> score(uint64_t version, const std::vector<int32_t>& tokens, size_t prompt) {
    std::vector<uint8_t> mask(tokens.size(), 1);
    std::fill_n(mask.begin(), prompt, 0);
    const model::LearnSequence sequence{.tokens = tokens, .loss_mask = mask};
    model::Threads threads(1);
    model::Learner learner(backend(), config, layout_, threads, values_of(version),
                           {.microbatch_tokens = 128, .context_max = kContextMax});
    return learner.score(std::span(&sequence, 1), 1)[0];
  }

  const model::TransformerConfig config = byte_config();

 private:
  std::vector<float> values_of(uint64_t version) const {
    return tests::lively_parameters(config, layout_, version);
  }

  const model::ParameterLayout layout_{config};
  const tests::TempDir dir_{};
};

TEST_CASE("rollout: a policy that comes in flight") {
  Versions versions;
  const tests::TempDir dir;
  Lease lease{.roles = {.rollout = true}, .job = {}, .context_max = kContextMax};
  lease.job.policy.config.clear();
  lease.job.policy.model = dir.file("policy");
  const model::ParameterLayout layout{versions.config};
  REQUIRE(model::save_checkpoint(
      lease.job.policy.model,
      {.config = versions.config, .values = tests::lively_parameters(versions.config, layout, 1)}));
  lease.job.rollout.cache_mb = 4;
  auto role = RolloutRole::create(backend(), lease, nullptr);
  REQUIRE_MESSAGE(role, role.error().message);
  REQUIRE((*role)->load(versions.file(5)));

  GenerateGroups request{.version = PolicyVersion{5}, .max_response_tokens = 40};
  for (uint32_t ordinal = 0; ordinal < 4; ++ordinal) {
    request.groups.push_back({.id = {Round{2}, ordinal},
                              .prompt = {65, 66, 67 + static_cast<int32_t>(ordinal)},
                              .num_samples = 2});
  }
  std::atomic<int> asked{0};
  bool is_taken = false;
  std::vector<GeneratedGroup> groups;
  const Status status =
      (*role)->generate(request, /*seed=*/3,
                        {.send =
                             [&](GroupsGenerated message) {
                               for (auto& group : message.groups)
                                 groups.push_back(std::move(group));
                             },
                         .progressed = [](int64_t, int64_t) { return true; },
                         .has_next_policy = [&] { return ++asked > 12 && !is_taken; },
                         .take_next_policy = [&]() -> Status {
                           is_taken = true;
                           auto loaded = (*role)->load(versions.file(9));
                           return loaded ? ok() : Status(loaded.error());
                         }});
  REQUIRE(status);
  REQUIRE(is_taken);
  REQUIRE(groups.size() == request.groups.size());
  size_t switched = 0;
  for (const GeneratedGroup& group : groups) {
    CHECK(group.version == PolicyVersion{5});
    const auto& prompt = request.groups[group.id.ordinal].prompt;
    for (const SampledResponse& response : group.responses) {
      auto ranges = response.versions;
      const auto end = static_cast<uint32_t>(response.tokens.size());
      if (ranges.empty()) ranges = {{group.version, 0, end}};
      switched += ranges.size() > 1 ? 1 : 0;
      std::vector<int32_t> tokens = prompt;
      tokens.insert(tokens.end(), response.tokens.begin(), response.tokens.end());
      for (const VersionRange& range : ranges) {
        const auto scores = versions.score(number(range.version), tokens, prompt.size());
        for (uint32_t t = range.begin; t < range.end; ++t) {
          REQUIRE(scores[prompt.size() + t] == response.logprobs[t]);
        }
      }
      CHECK(ranges.front().begin == 0);
      CHECK(ranges.back().end == end);
    }
  }
  CHECK(switched > 0);
}

}  // namespace
}  // namespace troupe::actors
