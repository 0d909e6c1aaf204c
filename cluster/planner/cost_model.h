// What a phase of a run takes: plain functions of numbers, one file per phase, with no idea of
// schedules. Seconds, bytes, tokens and devices throughout.
//
// Where the rates come from is in tables/*.toml; the decode formula is a roofline per layer
// (attention by FLOP or cache, products by FLOP or weights, the experts' exchange by a measured
// table) with two-batch overlap as an alternative, plus a fixed time per step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/planner/policy_counts.h"

namespace troupe::cluster {

// Everything that a cost is computed from, for one policy, engine and cluster. Rates are a second's
// and one device's unless they say otherwise.
struct CostInputs {
  PolicyCounts policy{};
  double weight_bytes = 2;  // Of a parameter where it generates ...
  double head_bytes = 2;    // ... but for embedding and head.
  double cache_value_bytes = 2;
  bool learner_is_latent = true;
  // Decoding.
  double attention_flops = 1, attention_bytes = 1;
  double gemm_flops = 1, weights_bytes = 1;
  double step_overhead = 0;
  // Of a token and a layer, forward, beside what grows with the width: seconds of one device.
  double layer_token = 0;
  double tokens_computed = 1, tokens_gained = 1;  // Of a response and a step.
  // Of one layer's exchange, at 128 tokens a device: by the binary logarithm of devices.
  std::vector<double> exchange_log2_devices{0};
  std::vector<double> exchange_seconds{0};
  double exchange_floor = 0;
  double reduce_floor = 0, reduce_bytes = 1e12;  // Of a layer whose products are divided.
  // Whole sequences.
  double prefill_flops = 1;
  double train_flops = 1, sft_flops = 1;
  double optimizer_seconds = 0;
  // Everything else.
  double publish_bytes = 1e12;  // A second, of the whole cluster.
  double load_bytes = 1e12, offload_bytes = 1e12;
  double storage_bytes = 1e12;  // Of the whole cluster.
  double last_verdict = 0;
  double restart_seconds = 0;
  double move_seconds = 0;
  double mtbf_seconds = 1e18;  // Of one device.
};

// ---- Decoding (decode_cost.cpp).
// One step of a replica of `width` devices with so many responses a device (may be below 1), which
// see `context` tokens on average. Experts are over all of its devices and attention is by
// response; without experts, its devices divide every product.
double decode_step_seconds(const CostInputs& in, double responses, double context, int64_t width);
// Of one response.
double decode_rate(const CostInputs& in, double responses, double context, int64_t width);

// ---- Whole sequences (prefill_cost.cpp, reference_cost.cpp, learning_cost.cpp), on `devices`
// together. `tokens` is the sum of lengths and `squares` of their squares.
double prefill_seconds(const CostInputs& in, double tokens, double squares, double devices);
double reference_seconds(const CostInputs& in, double tokens, double squares, double devices);
// One optimizer step: forward and twice that backward, attention by length, and the optimizer; what
// ranks exchange is in the rate.
double learn_step_seconds(const CostInputs& in, double tokens, double squares, double devices);
// The same of demonstrations.
double imitation_step_seconds(const CostInputs& in, double tokens, double squares, double devices);

// ---- Weights (publication_cost.cpp, switching_cost.cpp, recovery_cost.cpp).
double generating_weight_bytes(const CostInputs& in);  // Of one copy of the policy.
// From the learner to all workers that generate.
double publish_seconds(const CostInputs& in);
// A worker of `width` devices takes what is published.
double load_seconds(const CostInputs& in, int64_t width);
// Devices that both generate and learn put what they do not need to their hosts and take it back
// once a round: `generating` and `learning` bytes of each device.
double switch_seconds(const CostInputs& in, double generating, double learning);
// The learner stands still while its state, 8 bytes a parameter, is written.
double recovery_point_seconds(const CostInputs& in);

// ---- Verification (verification_cost.cpp): from a round's last token to its verdict; all others
// are judged while it is generated.
double last_verdict_seconds(const CostInputs& in);

// ---- Failures (failure_cost.cpp): what they add to `seconds` of work on `devices` when each costs
// `lost` seconds of work and a restart.
double failure_seconds(const CostInputs& in, double seconds, double devices, double lost);

}  // namespace troupe::cluster
