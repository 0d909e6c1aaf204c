// How fast a named architecture generates and learns here, and where the time goes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/backend.h"
#include "kernels/profile.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct PolicySpeed {
  std::string shape{};
  std::vector<double> tokens_per_second{};           // One entry per run.
  double flops_per_token = 0;                        // Of matrix products.
  double seconds = 0;                                // Of one run, all threads together.
  std::vector<kernels::OperationTime> operations{};  // Of a run that was profiled.
};

// Groups of 8 sampled from 64 prompts of 10 tokens, 32 tokens each, with random weights.
Result<PolicySpeed> measure_decode(const kernels::Backend& backend, std::string_view config,
                                   int num_threads);

// GRPO steps on 512 sequences of 28 tokens, 18 of them learned.
Result<PolicySpeed> measure_train(const kernels::Backend& backend, std::string_view config,
                                  int num_threads);

}  // namespace troupe::cluster
