// Promise 1: a recorded log-probability is the learner's, bit for bit, and neither it nor a token
// depends on batch, neighbours, cache or threads.
#include "model/generation/generator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/training/learner.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

using Responses = std::vector<std::vector<Response>>;

constexpr int32_t kStop = 1;
constexpr int64_t kResponseMax = 45;
constexpr int64_t kPromptMax = 75;
constexpr int64_t kContextMax = kPromptMax + kResponseMax;

// A policy with a learner, whose weights are also those that generate.
struct World {
  World(const kernels::Backend& table, const TransformerConfig& architecture, uint64_t seed,
        kernels::Precision in)
      : backend(table),
        config(architecture),
        precision(in),
        layout(config),
        learner(backend, config, layout, threads, tests::lively_parameters(config, layout, seed),
                {.precision = precision, .microbatch_tokens = 256, .context_max = kContextMax}) {}

  const kernels::Backend& backend;
  TransformerConfig config;
  kernels::Precision precision;
  ParameterLayout layout;
  Threads threads{1};
  Learner learner;
};

int64_t block_bytes(const World& world) {
  return world.config.num_hidden_layers * kernels::kBlockTokens * cache_row(world.config).width *
         (world.precision == kernels::Precision::kBf16 ? 2 : 4);
}

std::vector<GroupRequest> random_requests(kernels::RandomStream& random, size_t count,
                                          uint64_t samples_max) {
  std::vector<GroupRequest> requests;
  // The edges of blocks, and anything.
  const uint64_t lengths[] = {1, 31, 32, 33, 64, 65, 1 + random.below(kPromptMax)};
  for (size_t i = 0; i < count; ++i) {
    GroupRequest request;
    const uint64_t length = lengths[random.below(std::size(lengths))];
    for (uint64_t t = 0; t < length; ++t) {
      request.prompt.push_back(2 + static_cast<int32_t>(random.below(46)));
    }
    request.num_samples = 1 + static_cast<int32_t>(random.below(samples_max));
    request.key = {.seed = 9,
                   .round = 3,
                   .stream = static_cast<uint32_t>(kernels::StreamId::kSample),
                   .ordinal = static_cast<uint32_t>(i)};
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Run {
  Responses responses{};
  Generator::Statistics statistics{};
};

Run generate(const World& world, std::span<const GroupRequest> requests,
             const SamplingOptions& sampling, int threads_count, Generator::Options options) {
  Threads threads(threads_count);
  options.precision = world.precision;
  options.context_max = kContextMax;
  auto generator = Generator::create(world.backend, world.config, threads, options);
  REQUIRE_MESSAGE(generator, generator.error().message);
  Run run;
  run.responses = (*generator)->generate(world.learner.weights(), requests, sampling);
  run.statistics = (*generator)->statistics();
  return run;
}

// One group at a time, with room for everything.
Responses generate_plainly(const World& world, const std::vector<GroupRequest>& requests,
                           const SamplingOptions& sampling) {
  Responses all;
  for (const auto& request : requests) {
    all.push_back(generate(world, std::span(&request, 1), sampling, 1, {}).responses.at(0));
  }
  return all;
}

void check_equal(const Responses& got, const Responses& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    REQUIRE(got[i].size() == want[i].size());
    for (size_t s = 0; s < got[i].size(); ++s) {
      CAPTURE(i);
      CAPTURE(s);
      REQUIRE(got[i][s].tokens == want[i][s].tokens);
      REQUIRE(got[i][s].logprobs == want[i][s].logprobs);
      REQUIRE(got[i][s].finish_reason == want[i][s].finish_reason);
    }
  }
}

// The packed training forward gives every recorded log-probability again.
void check_scores(World& world, const std::vector<GroupRequest>& requests, const Responses& got,
                  float temperature) {
  struct Row {
    std::vector<int32_t> tokens{};
    std::vector<uint8_t> mask{};
  };
  std::vector<Row> rows;
  for (size_t i = 0; i < got.size(); ++i) {
    for (const auto& response : got[i]) {
      Row row{.tokens = requests[i].prompt, .mask = {}};
      row.mask.assign(row.tokens.size(), 0);
      row.tokens.insert(row.tokens.end(), response.tokens.begin(), response.tokens.end());
      row.mask.resize(row.tokens.size(), 1);
      rows.push_back(std::move(row));
    }
  }
  std::vector<LearnSequence> sequences;
  for (const auto& row : rows) sequences.push_back({.tokens = row.tokens, .loss_mask = row.mask});
  const auto scores = world.learner.score(sequences, temperature);
  size_t row = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    for (const auto& response : got[i]) {
      const auto& score = scores[row++];
      const std::vector<float> scored(
          score.begin() + static_cast<int64_t>(requests[i].prompt.size()), score.end());
      REQUIRE(scored == response.logprobs);
    }
  }
}

void check_shape(const Responses& got, const std::vector<GroupRequest>& requests) {
  REQUIRE(got.size() == requests.size());
  for (size_t i = 0; i < got.size(); ++i) {
    REQUIRE(got[i].size() == static_cast<size_t>(requests[i].num_samples));
    for (const auto& response : got[i]) {
      REQUIRE(response.tokens.size() == response.logprobs.size());
      const auto stop = std::find(response.tokens.begin(), response.tokens.end(), kStop);
      if (response.finish_reason == FinishReason::kStop) {
        REQUIRE(stop + 1 == response.tokens.end());
      } else {
        REQUIRE(response.finish_reason == FinishReason::kLength);
        REQUIRE(stop == response.tokens.end());
        REQUIRE(static_cast<int64_t>(response.tokens.size()) == kResponseMax);
      }
    }
  }
}

// Architectures that differ in every way that a test this small can hold.
TransformerConfig random_config(kernels::RandomStream& random) {
  TransformerConfig c = tests::tiny_config();
  c.num_hidden_layers = 1 + static_cast<int64_t>(random.below(3));
  c.first_k_dense_replace = static_cast<int64_t>(random.below(2));
  c.q_lora_rank = random.below(2) == 0 ? 0 : 24;
  c.n_routed_experts = random.below(2) == 0 ? 4 : 12;
  c.n_group = random.below(2) == 0 ? 1 : 4;
  c.topk_group = std::min<int64_t>(c.n_group, 2);
  c.n_shared_experts = static_cast<int64_t>(random.below(3));
  c.num_attention_heads = 1 + static_cast<int64_t>(random.below(3));
  c.kv_lora_rank = random.below(2) == 0 ? 16 : 40;
  REQUIRE(validate(c));
  return c;
}

TEST_CASE("generator: tokens and log-probabilities do not depend on batch, cache or threads") {
  kernels::RandomStream random(2024, kernels::StreamId::kMakeData);
  Generator::Statistics seen;
  int64_t stopped = 0, cut = 0;
  for (int trial = 0; trial < 24; ++trial) {
    CAPTURE(trial);
    const auto& backends = kernels::cpu_backends();
    const kernels::Backend& backend = *backends[random.below(backends.size())];
    CAPTURE(backend.name);
    World world(backend, random_config(random), 50 + static_cast<uint64_t>(trial),
                trial % 4 == 3 ? kernels::Precision::kFp32 : kernels::Precision::kBf16);
    SamplingOptions sampling{.max_response_tokens = kResponseMax, .stop_tokens = {kStop}};
    sampling.temperature = trial % 3 == 0 ? 1.0f : trial % 3 == 1 ? 0.7f : 0.0f;
    sampling.top_p = trial % 2 == 0 ? 1.0f : 0.9f;
    const auto requests = random_requests(random, 9, 6);
    const Responses plain = generate_plainly(world, requests, sampling);
    check_shape(plain, requests);
    check_scores(world, requests, plain, sampling.temperature > 0 ? sampling.temperature : 1.0f);
    for (const auto& group : plain) {
      for (const auto& response : group) {
        (response.finish_reason == FinishReason::kStop ? stopped : cut) += 1;
      }
    }
    for (int threads : {1, 2}) {
      const auto blocks = static_cast<int64_t>(5 + random.below(12));
      const Generator::Options options{
          .cache_bytes = blocks * block_bytes(world) * threads,
          .sequences_max = static_cast<int64_t>(6 + random.below(20)),
          .batch_tokens_max = static_cast<int64_t>(1 + random.below(60))};
      CAPTURE(threads);
      CAPTURE(blocks);
      CAPTURE(options.sequences_max);
      CAPTURE(options.batch_tokens_max);
      const Run run = generate(world, requests, sampling, threads, options);
      check_equal(run.responses, plain);
      seen.sequences_evicted += run.statistics.sequences_evicted;
      seen.tokens_repeated += run.statistics.tokens_repeated;
      seen.blocks_copied += run.statistics.blocks_copied;
    }
  }
  // The hard paths were taken.
  CHECK(seen.sequences_evicted > 50);
  CHECK(seen.tokens_repeated > 500);
  CHECK(seen.blocks_copied > 50);
  CHECK(stopped > 50);
  CHECK(cut > 50);
}

TEST_CASE("generator: whatever the family, decoding is the training forward in any batch") {
  kernels::RandomStream random(77, kernels::StreamId::kMakeData);
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    for (const kernels::Backend* backend : kernels::cpu_backends()) {
      CAPTURE(backend->name);
      World world(*backend, tests::tiny_config(family), 60, kernels::Precision::kBf16);
      REQUIRE(validate(world.config));
      const SamplingOptions sampling{.max_response_tokens = kResponseMax, .stop_tokens = {kStop}};
      const auto requests = random_requests(random, 5, 4);
      const Responses plain = generate_plainly(world, requests, sampling);
      check_scores(world, requests, plain, 1.0f);
      const Run run = generate(
          world, requests, sampling, 2,
          {.cache_bytes = 16 * block_bytes(world), .sequences_max = 9, .batch_tokens_max = 23});
      check_equal(run.responses, plain);
    }
  }
}

// One thread, so that which prompts are evicted before they are forked does not depend on luck.
TEST_CASE("generator: however full cache and batch are, nothing is lost or exceeded") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  kernels::RandomStream random(31, kernels::StreamId::kMakeData);
  const SamplingOptions sampling{.max_response_tokens = kResponseMax, .stop_tokens = {kStop}};
  for (int trial = 0; trial < 150; ++trial) {
    CAPTURE(trial);
    const auto requests = random_requests(random, 12, 6);
    const Responses plain = generate_plainly(world, requests, sampling);
    const auto blocks = static_cast<int64_t>(5 + random.below(4));
    const Run run = generate(world, requests, sampling, 1,
                             {.cache_bytes = blocks * block_bytes(world),
                              .sequences_max = static_cast<int64_t>(6 + random.below(4)),
                              .batch_tokens_max = static_cast<int64_t>(1 + random.below(20))});
    check_equal(run.responses, plain);
  }
}

TEST_CASE("generator: instruction sets give the same tokens and log-probabilities") {
  Responses first;
  for (const kernels::Backend* backend : kernels::cpu_backends()) {
    CAPTURE(backend->name);
    World world(*backend, tests::tiny_config(), 8, kernels::Precision::kBf16);
    kernels::RandomStream random(11, kernels::StreamId::kMakeData);
    const auto requests = random_requests(random, 4, 4);
    const Run run = generate(world, requests,
                             {.max_response_tokens = kResponseMax, .stop_tokens = {kStop}}, 1, {});
    if (first.empty()) first = run.responses;
    check_equal(run.responses, first);
  }
}

TEST_CASE("generator: the prompt of a group is computed once") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  kernels::RandomStream random(12, kernels::StreamId::kMakeData);
  auto requests = random_requests(random, 1, 1);
  requests[0].prompt.assign(70, 5);
  requests[0].num_samples = 8;
  const Run run = generate(world, requests, {.max_response_tokens = 10}, 1, {});
  // Each sample's last token is never computed.
  CHECK(run.statistics.tokens_computed == 70 + 8 * 9);
  CHECK(run.statistics.blocks_copied == 7);  // The last owner writes into the original.
  CHECK(run.statistics.sequences_evicted == 0);
}

TEST_CASE("generator: two engines share groups that one could take alone") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  kernels::RandomStream random(13, kernels::StreamId::kMakeData);
  auto requests = random_requests(random, 5, 1);
  for (auto& request : requests) request.num_samples = 8;
  Threads threads(2);
  auto generator = Generator::create(world.backend, world.config, threads,
                                     {.precision = world.precision, .context_max = kContextMax});
  REQUIRE(generator);
  // Told before each step, the first before anything is begun: who has done a step waits until the
  // other has done one too.
  std::mutex mutex;
  std::condition_variable both_have_begun;
  std::map<std::thread::id, int> steps;
  GenerationObserver observer;
  observer.stepped = [&] {
    std::unique_lock lock(mutex);
    if (++steps[std::this_thread::get_id()] != 2) return;
    both_have_begun.notify_all();
    CHECK(both_have_begun.wait_for(lock, std::chrono::seconds(30), [&] {
      return steps.size() == 2 && std::all_of(steps.begin(), steps.end(),
                                              [](const auto& one) { return one.second >= 2; });
    }));
  };
  constexpr int kTokens = 10;
  (*generator)
      ->generate(world.learner.weights(), requests, {.max_response_tokens = kTokens}, observer);
  REQUIRE(steps.size() == 2);
  for (const auto& [thread, count] : steps) CHECK(count >= kTokens);
}

TEST_CASE("generator: a sample is named by its key, so keys that differ give other samples") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  std::vector<GroupRequest> requests;
  GroupRequest request;
  request.prompt = {3, 4, 5};
  request.num_samples = 2;
  requests.push_back(request);
  request.key.seed = 1;
  requests.push_back(request);
  request.key = {.round = 1};
  requests.push_back(request);
  request.key = {.ordinal = 1};
  requests.push_back(request);
  request.key = {.stream = 4};
  requests.push_back(request);
  request.key = {};
  requests.push_back(request);  // The first again.
  const auto responses = generate(world, requests, {.max_response_tokens = 30}, 1, {}).responses;
  CHECK(responses[5][0].tokens == responses[0][0].tokens);
  CHECK(responses[5][1].tokens == responses[0][1].tokens);
  for (size_t i = 0; i < 5; ++i) {
    CHECK(responses[i][0].tokens != responses[i][1].tokens);
    for (size_t j = i + 1; j < 5; ++j) CHECK(responses[i][0].tokens != responses[j][0].tokens);
  }
}

TEST_CASE("generator: at temperature 0 all samples are the likeliest one") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  kernels::RandomStream random(13, kernels::StreamId::kMakeData);
  auto requests = random_requests(random, 1, 1);
  requests[0].num_samples = 3;
  const auto greedy =
      generate(world, requests,
               {.temperature = 0, .max_response_tokens = 20, .stop_tokens = {kStop}}, 1, {})
          .responses[0];
  for (const auto& response : greedy) CHECK(response.tokens == greedy[0].tokens);
  // One of 48 that is likeliest has at least 1/48.
  for (float logprob : greedy[0].logprobs) CHECK(logprob > -3.88f);
}

TEST_CASE("generator: stopping early aborts what is unfinished and leaves it usable") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  kernels::RandomStream random(14, kernels::StreamId::kMakeData);
  const auto requests = random_requests(random, 12, 4);
  const SamplingOptions sampling{.max_response_tokens = kResponseMax, .stop_tokens = {kStop}};
  for (int threads_count : {1, 2}) {
    CAPTURE(threads_count);
    Threads threads(threads_count);
    auto generator = Generator::create(world.backend, world.config, threads,
                                       {.cache_bytes = 12 * block_bytes(world) * threads_count,
                                        .context_max = kContextMax,
                                        .sequences_max = 8,
                                        .batch_tokens_max = 16});
    REQUIRE(generator);
    const auto whole = (*generator)->generate(world.learner.weights(), requests, sampling);
    int64_t calls = 0, last = 0;
    const auto partial = (*generator)
                             ->generate(world.learner.weights(), requests, sampling,
                                        {.progressed = [&](int64_t finished) {
                                          CHECK(finished >= last);
                                          last = finished;
                                          return ++calls < 40;
                                        }});
    int64_t aborted = 0, finished = 0;
    REQUIRE(partial.size() == requests.size());
    for (size_t i = 0; i < partial.size(); ++i) {
      REQUIRE(partial[i].size() == whole[i].size());
      for (size_t s = 0; s < partial[i].size(); ++s) {
        const auto& part = partial[i][s];
        const auto& all = whole[i][s];
        REQUIRE(part.tokens.size() <= all.tokens.size());
        // What there is, is the same.
        REQUIRE(std::equal(part.tokens.begin(), part.tokens.end(), all.tokens.begin()));
        if (part.finish_reason == FinishReason::kAborted) {
          ++aborted;
        } else {
          ++finished;
          REQUIRE(part.tokens == all.tokens);
        }
      }
    }
    // With a second thread it is a race how much was done when the first is asked.
    if (threads_count == 1) CHECK(aborted > 0);
    if (threads_count == 1) CHECK(finished > 0);
    check_equal((*generator)->generate(world.learner.weights(), requests, sampling), whole);
  }
}

// Of one response: by the weights of its own span each token has the log-probability that was
// recorded, with everything before it written by those weights.
void check_spans(const GroupRequest& request, const Response& response,
                 const std::vector<World*>& worlds) {
  std::vector<int32_t> tokens = request.prompt;
  tokens.insert(tokens.end(), response.tokens.begin(), response.tokens.end());
  std::vector<uint8_t> mask(tokens.size(), 1);
  std::fill_n(mask.begin(), request.prompt.size(), 0);
  const LearnSequence sequence{.tokens = tokens, .loss_mask = mask};
  for (size_t i = 0; i < response.spans.size(); ++i) {
    const SampledSpan& span = response.spans[i];
    const bool is_last = i + 1 == response.spans.size();
    const size_t end = is_last ? response.tokens.size() : response.spans[i + 1].begin;
    REQUIRE(span.begin < end);
    const auto scores = worlds.at(span.num_updates)->learner.score(std::span(&sequence, 1), 1);
    for (size_t t = span.begin; t < end; ++t) {
      REQUIRE(scores[0][request.prompt.size() + t] == response.logprobs[t]);
    }
  }
}

TEST_CASE("generator: what was begun is gone on with to the same responses") {
  kernels::RandomStream random(3, kernels::StreamId::kInit);
  const World world(*kernels::cpu_backends().front(), tests::tiny_config(), 5,
                    kernels::Precision::kBf16);
  const auto requests = random_requests(random, 6, 4);
  const SamplingOptions sampling{
      .temperature = 1, .top_p = 0.9, .max_response_tokens = kResponseMax, .stop_tokens = {kStop}};
  const auto want = generate_plainly(world, requests, sampling);
  for (const int64_t segment_tokens : {1, 4, 7, 44, 45}) {
    CAPTURE(segment_tokens);
    // Everything that is told of responses on their way.
    struct Told {
      size_t request;
      size_t sample;
      BegunResponse so_far;
    };
    std::vector<Told> told;
    Threads threads(2);
    auto generator = Generator::create(world.backend, world.config, threads,
                                       {.precision = world.precision, .context_max = kContextMax});
    REQUIRE(generator);
    const auto all =
        (*generator)
            ->generate(
                world.learner.weights(), requests, sampling,
                {.segment_tokens = segment_tokens,
                 .segment_ended = [&](size_t request, int32_t sample, const Response& so_far) {
                   told.push_back(
                       {request, static_cast<size_t>(sample), {so_far.tokens, so_far.logprobs}});
                 }});
    check_equal(all, want);
    int64_t expected = 0;
    for (const auto& responses : want) {
      for (const Response& response : responses) {
        expected += (static_cast<int64_t>(response.tokens.size()) - 1) / segment_tokens;
      }
    }
    CHECK(static_cast<int64_t>(told.size()) == expected);
    // Some of it was heard before the loss: of each response anything, or nothing.
    for (int round = 0; round < 3; ++round) {
      auto begun = requests;
      int64_t tokens = 0;
      for (size_t i = 0; i < begun.size(); ++i) {
        if (random.below(4) > 0) begun[i].begun.resize(static_cast<size_t>(begun[i].num_samples));
      }
      for (const Told& one : told) {
        auto& of = begun[one.request].begun;
        if (!of.empty() && random.below(3) > 0) of[one.sample] = one.so_far;
      }
      for (const auto& request : begun) {
        for (const auto& one : request.begun) tokens += static_cast<int64_t>(one.tokens.size());
      }
      const int count = 1 + round % 2;
      Generator::Options options{.sequences_max = 5, .batch_tokens_max = 9};
      // Room for two sequences in each thread: what was begun is evicted, too.
      if (round == 2) options.cache_bytes = count * 9 * block_bytes(world);
      const auto got = generate(world, begun, sampling, count, options);
      check_equal(got.responses, want);
      CHECK((tokens > 0) == (expected > 0));
      for (const auto& responses : got.responses) {
        for (const Response& one : responses) CHECK(one.spans == std::vector{SampledSpan{}});
      }
      // What is told of it follows what it was begun with.
      const int64_t others = segment_tokens + 2;
      static_cast<void>(
          (*generator)
              ->generate(
                  world.learner.weights(), begun, sampling,
                  {.segment_tokens = others,
                   .segment_ended = [&](size_t request, int32_t sample, const Response& so_far) {
                     const auto& known = begun[request].begun;
                     const size_t first =
                         known.empty() ? 0 : known[static_cast<size_t>(sample)].tokens.size();
                     CHECK(so_far.tokens.size() > first);
                     CHECK(static_cast<int64_t>(so_far.tokens.size() - first) % others == 0);
                   }}));
    }
  }
}

TEST_CASE("generator: weights change in flight, and each token is by those that it says") {
  const auto& backend = *kernels::cpu_backends().front();
  World first(backend, tests::tiny_config(), 8, kernels::Precision::kBf16);
  World second(backend, tests::tiny_config(), 9, kernels::Precision::kBf16);
  kernels::RandomStream random(15, kernels::StreamId::kMakeData);
  const auto requests = random_requests(random, 12, 4);
  const SamplingOptions sampling{.max_response_tokens = kResponseMax, .stop_tokens = {kStop}};
  for (int threads_count : {1, 2}) {
    CAPTURE(threads_count);
    World changing(backend, tests::tiny_config(), 8, kernels::Precision::kBf16);
    Threads threads(threads_count);
    // Little room, so that sequences are evicted as well.
    auto generator = Generator::create(backend, changing.config, threads,
                                       {.cache_bytes = 12 * block_bytes(changing) * threads_count,
                                        .context_max = kContextMax,
                                        .sequences_max = 8,
                                        .batch_tokens_max = 16});
    REQUIRE(generator);
    std::atomic<int> asked{0};
    std::atomic<bool> is_changed{false};
    const auto responses =
        (*generator)
            ->generate(changing.learner.weights(), requests, sampling,
                       {.wants_update = [&] { return ++asked > 60 && !is_changed; },
                        .update =
                            [&] {
                              is_changed = true;
                              REQUIRE(changing.learner.set_state(second.learner.state()));
                            }});
    REQUIRE(is_changed);
    size_t before = 0, across = 0, after = 0;
    for (size_t i = 0; i < responses.size(); ++i) {
      for (const Response& response : responses[i]) {
        CAPTURE(i);
        REQUIRE(response.finish_reason != FinishReason::kAborted);
        REQUIRE(response.spans.at(0).begin == 0);
        check_spans(requests[i], response, {&first, &second});
        if (response.spans.size() == 2) ++across;
        if (response.spans.size() == 1) ++(response.spans[0].num_updates == 0 ? before : after);
      }
    }
    if (threads_count == 1) CHECK(before > 0);
    CHECK(across > 0);
    CHECK(after > 0);
  }
}

TEST_CASE("generator: a cache without room for one sequence is refused, with what it needs") {
  World world(*kernels::cpu_backends().front(), tests::tiny_config(), 8, kernels::Precision::kBf16);
  Threads threads(2);
  const int64_t needed = (kContextMax + 31) / 32 + 1;
  const auto create = [&](int64_t blocks) {
    return Generator::create(
        world.backend, world.config, threads,
        {.cache_bytes = 2 * blocks * block_bytes(world), .context_max = kContextMax});
  };
  CHECK(create(needed));
  const auto refused = create(needed - 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  CHECK(refused.error().message.find("rollout.cache_mb") != std::string::npos);
}

}  // namespace
}  // namespace troupe::model
