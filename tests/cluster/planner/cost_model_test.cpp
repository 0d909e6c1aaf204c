// What phases take, beside numbers from hand, published counts and the prototype of this model.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "cluster/jobs/job_file.h"
#include "cluster/planner/inputs.h"
#include "cluster/planner/memory_plan.h"
#include "tests/cluster/planner/r1_subject.h"

namespace troupe::cluster {
namespace {

doctest::Approx near(double value, double share = 1e-3) {
  return doctest::Approx(value).epsilon(share).scale(0);
}

TEST_CASE("policy counts: every parameter is counted once, in each family") {
  for (const char* name : {"tiny-moe", "small-moe"}) {
    const auto config = *model::named_config(name);
    double sum = 0;
    for (const auto& one : model::parameters(config)) sum += static_cast<double>(one.size());
    CHECK(count_policy(config).parameters == sum);
  }
  const auto& v3 = builtin_tables().models.at("deepseek-v3").config;
  double sum = 0;
  for (const auto& one : model::parameters(v3)) sum += static_cast<double>(one.size());
  CHECK(count_policy(v3).parameters == sum);

  model::TransformerConfig dense;
  dense.family = model::Family::kQwen2;
  dense.vocab_size = 100, dense.hidden_size = 16, dense.num_hidden_layers = 2;
  dense.first_k_dense_replace = 2, dense.intermediate_size = 24, dense.num_attention_heads = 4;
  dense.num_key_value_heads = 2, dense.head_dim = 4, dense.max_position_embeddings = 64;
  dense.tie_word_embeddings = true;
  sum = 0;
  for (const auto& one : model::parameters(dense)) sum += static_cast<double>(one.size());
  const PolicyCounts counts = count_policy(dense);
  CHECK(counts.parameters == sum);
  CHECK(counts.cache_values == 2 * 2 * 2 * 4);       // Keys and values, layers, heads, width.
  CHECK(counts.context_flops == 2 * (16 + 16) * 2);  // Products with keys and with values.
}

TEST_CASE("policy counts: DeepSeek-V3 as it is published") {
  const PolicyCounts v3 = count_policy(builtin_tables().models.at("deepseek-v3").config);
  CHECK(v3.parameters / 1e9 == near(671.03, 1e-4));
  CHECK(v3.active / 1e9 == near(36.62, 5e-4));
  CHECK(v3.routed / 1e9 == near(653.91, 1e-4));
  CHECK(2 * v3.cache_values == 70272);
  CHECK(v3.context_flops / 1e6 == near(4.997, 1e-3));
  CHECK(v3.context_flops_latent / 1e6 == near(16.99, 1e-3));
  // ISCA 2025: 250 GFLOP a token, trained at 4K.
  CHECK(3 * forward_flops(v3, 4096, 4096.0 * 4096, false) / 4096 / 1e9 == near(250.45, 1e-4));
}

TEST_CASE("decoding: by hand, for a policy of round numbers") {
  CostInputs in;
  in.policy.everywhere = 4e9, in.policy.embedding = 1e9, in.policy.linear_flops = 10e9;
  in.policy.context_flops_latent = 1e6, in.policy.cache_values = 1e4;
  in.policy.layers = 10, in.policy.layer_input_values = 1000;
  in.attention_flops = 1e15, in.attention_bytes = 1e12, in.gemm_flops = 1e14;
  in.weights_bytes = 1e12, in.step_overhead = 0.004;
  in.reduce_floor = 1e-4, in.reduce_bytes = 1e11;
  // Attention reads 2e4 bytes a token: 4 x 1000 x 2e4 / 1e12 = 80 us; weights (8 + 2) GB take 10
  // ms.
  CHECK(decode_step_seconds(in, 4, 1000, 1) == near(0.004 + 80e-6 + 0.010, 1e-9));
  // 200 responses compute 200 x 10e9 / 1e14 = 20 ms, and attention takes 4 ms.
  CHECK(decode_step_seconds(in, 200, 1000, 1) == near(0.004 + 0.004 + 0.020, 1e-9));
  // Two devices read half each and reduce twice a layer: 4 x 2 x 1000 x 2 bytes, twice.
  const double reduced = 2 * 10 * (1e-4 + 2 * 16000 / 1e11);
  CHECK(decode_step_seconds(in, 4, 1000, 2) == near(0.004 + 80e-6 + 0.005 + reduced, 1e-9));
  in.layer_token = 1e-6;  // 4 responses, 10 layers.
  CHECK(decode_step_seconds(in, 4, 1000, 1) == near(0.004 + 40e-6 + 80e-6 + 0.010, 1e-9));
  in.prefill_flops = in.train_flops = 1e15;
  CHECK(prefill_seconds(in, 1000, 0, 2) == near((1000 * 10e9 / 1e15 + 1000 * 10 * 1e-6) / 2, 1e-9));
  CHECK(learn_step_seconds(in, 1000, 0, 2) == near(3 * prefill_seconds(in, 1000, 0, 2), 1e-9));
  in.layer_token = 0;
  in.tokens_gained = 2;
  CHECK(decode_rate(in, 4, 1000, 1) == near(2 / (0.004 + 80e-6 + 0.010), 1e-9));
}

TEST_CASE("decoding: the prototype's numbers, and the points it was fitted to") {
  CostInputs in = tests::r1_medians("r1-zero").costs;
  CHECK(decode_step_seconds(in, 0.3, 20000, 32) == near(0.034396589974847985));
  CHECK(decode_step_seconds(in, 1, 16000, 32) == near(0.03896705861501526));
  CHECK(decode_step_seconds(in, 16, 4000, 32) == near(0.049263380325691636));
  CHECK(decode_step_seconds(in, 16, 4000, 64) == near(0.04584766530656127));
  CHECK(decode_step_seconds(in, 128, 4096, 128) == near(0.09353665380173912));
  CHECK(decode_rate(in, 1, 16000, 32) == near(44.139846863813034));
  // Tokens a second of a device, as published; production is held out. 15 %.
  const auto speed = [&](double responses, double context, int64_t width, double computed,
                         double gained) {
    in.tokens_computed = computed, in.tokens_gained = gained;
    return responses * decode_rate(in, responses, context, width);
  };
  CHECK(speed(128, 4096, 128, 1, 1.0) == near(18598.0 / 8, 0.15));
  CHECK(speed(256, 2000, 72, 1, 1.0) == near(22282.0 / 8, 0.15));
  CHECK(speed(128, 4000, 72, 2, 1.6) == near(17373.0 / 8, 0.15));
  CHECK(speed(88, 4989, 144, 1, 1.0) == near(1850, 0.15));
}

TEST_CASE("whole sequences, weights and failures: the prototype's numbers") {
  const DrawnInputs drawn = tests::r1_medians("r1-zero");
  const CostInputs& in = drawn.costs;
  CHECK(learn_step_seconds(in, 1e6, 1e10, 512) == near(2.791751064935065));
  CHECK(reference_seconds(in, 1e6, 1e10, 512) == near(0.41709746086956523));
  CHECK(prefill_seconds(in, 1e6, 0, 512) == near(73.25e15 / (512 * 460e12)));
  CHECK(publish_seconds(in) == near(12.0, 0.02));
  CHECK(load_seconds(in, 32) == near(5.6, 0.02));  // 15.3 + 3.7 + 20.4 GB at 7.
  CHECK(recovery_point_seconds(in) == near(3.0, 0.01));
  CHECK(switch_seconds(in, 42e9, 26.4e9) == near(40, 0.01));
  CHECK(last_verdict_seconds(in) == 8.0);
  // 198 h on 512 devices: 5 failures, each of half a round and a restart.
  CHECK(failure_seconds(in, 198 * 3600.0, 512, 548) ==
        near(198 * 512 / 20000.0 * (548 + 900), 1e-9));
  // Imitation has a rate of its own.
  CHECK((imitation_step_seconds(in, 1e6, 0, 512) - 0.3) * 0.75 ==
        near((learn_step_seconds(in, 1e6, 0, 512) - 0.3) * 0.6, 1e-9));
}

TEST_CASE("memory: DeepSeek-V3 on H800, by part") {
  const CostInputs in = tests::r1_medians("r1-zero").costs;
  const auto plan = [&](int64_t width) {
    return generating_memory(in, width, 65536 + 180, 78e9, 6e9, 32);
  };
  const MemoryPlan narrow = plan(32);
  REQUIRE(narrow.parts.size() == 5);
  CHECK(narrow.parts[0].bytes / 1e9 == near(15.3, 5e-3));
  CHECK(narrow.parts[1].bytes / 1e9 == near(3.7, 5e-3));
  CHECK(narrow.parts[2].bytes / 1e9 == near(23.0, 5e-3));
  CHECK(narrow.parts[4].bytes / 1e9 == near(30.0, 5e-3));  // What is left is cache.
  CHECK(narrow.short_by() == 0);
  CHECK(plan(64).parts[4].bytes / 1e9 == near(41.5, 5e-3));
  CHECK(plan(8).short_by() / 1e9 == near(15.3 + 3.7 + 92.0 + 6 + 4.6 - 78, 0.01));
  const LearnerShape shape{.devices = 512, .experts = 64, .context = 4};
  const MemoryPlan learning = learning_memory(in, shape, 65536, true, 78e9, 6e9);
  CHECK(learning.parts[0].bytes / 1e9 == near(10.2, 5e-3));
  CHECK(learning.parts[2].bytes / 1e9 == near(5.2, 1e-2));
  CHECK(learning.parts[3].bytes / 1e9 == near(10.5, 1e-2));
  CHECK(learning.parts[4].bytes / 1e9 == near(14.3, 1e-2));
  CHECK(best_learner_shape(in, 512, 8, 65536, true, 78e9, 6e9).experts == 32);
  CHECK(best_learner_shape(in, 512, 8, 65536, true, 200e9, 6e9).experts == 8);
}

TEST_CASE("inputs: draw 0 is the medians, and a draw is always the same") {
  const PlanSubject subject = tests::r1_subject("r1-zero", "64x8xH800");
  const DrawnInputs medians = draw_inputs(subject, 1, 0);
  CHECK(medians.costs.step_overhead == doctest::Approx(0.018));
  for (const double one : medians.deviations) CHECK(one == 0);
  const DrawnInputs a = draw_inputs(subject, 1, 7), b = draw_inputs(subject, 1, 7);
  CHECK(a.costs.step_overhead == b.costs.step_overhead);
  CHECK(a.deviations == b.deviations);
  CHECK(draw_inputs(subject, 1, 8).costs.step_overhead != a.costs.step_overhead);
  CHECK(draw_inputs(subject, 2, 7).costs.step_overhead != a.costs.step_overhead);
  // As spread as the table says.
  double sum = 0, squares = 0;
  constexpr int kDraws = 2000;
  for (int i = 1; i <= kDraws; ++i) {
    const double one = std::log(draw_inputs(subject, 1, i).costs.train_flops);
    sum += one, squares += one * one;
  }
  const double mean = sum / kDraws;
  CHECK(std::sqrt(squares / kDraws - mean * mean) == near(0.35, 0.06));
  CHECK(mean == doctest::Approx(std::log(385e12 * 0.6)).epsilon(1e-3));
}

TEST_CASE("inputs: a device without fp8 computes in bf16") {
  const auto a100 = draw_inputs(tests::r1_subject("r1-zero", "64x8xA100"), 1, 0).costs;
  CHECK(a100.weight_bytes == 2);
  CHECK(a100.train_flops == doctest::Approx(140e12 * 0.6));
}

}  // namespace
}  // namespace troupe::cluster
