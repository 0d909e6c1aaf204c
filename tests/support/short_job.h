// A job of seconds for tests of the real program, and its data.
#pragma once

#include "tests/support/process.h"

namespace troupe::tests {

// A folder with `job.toml` and its data: tiny-moe, a few steps of each stage.
class ShortJob {
 public:
  ShortJob() {
    const Ended made =
        troupe({"make-data", "arithmetic", "--out", dir_.file("data"), "--train", "200",
                "--cold-start-clean", "200", "--cold-start-noisy", "100", "--held-out", "20"});
    REQUIRE_MESSAGE(made.exit_code == 0, made.error);
    write_text(job(), R"(name = "short"
seed = 1
[data]
train = "data/train.jsonl"
cold_start = ["data/cold_start_clean.jsonl", "data/cold_start_noisy.jsonl"]
held_out = "data/held_out.jsonl"
template = "plain"
max_prompt_tokens = 16
[sft]
steps = 4
batch_tokens = 400
learning_rate = 3e-3
[grpo]
steps = 2
prompts_per_round = 4
group_size = 4
minibatches_per_round = 2
kl_coef = 0.01
[optimizer]
warmup_steps = 2
[rollout]
max_response_tokens = 16
cache_mb = 16
[learner]
microbatch_tokens = 128
balance_bias_rate = 0.01
[rewards]
accuracy = { verifier = "math", weight = 1.0 }
format = { verifier = "r1_format", weight = 0.1 }
[schedule]
checkpoint_every_steps = 1
[eval]
every_steps = 0
problems = 8
temperature = 1.0
)");
  }

  std::string folder() const { return dir_.path(); }
  std::string job() const { return dir_.file("job.toml"); }
  std::string file(const std::string& name) const { return dir_.file(name); }

  // `troupe run` of it into HOME, with --json.
  Invocation run(const std::string& home, const std::vector<std::string>& set = {}) const {
    Invocation invocation{.arguments = {"run", job(), "--json", "--home", file(home)}};
    for (const auto& one : set) {
      invocation.arguments.push_back("--set");
      invocation.arguments.push_back(one);
    }
    return invocation;
  }

 private:
  TempDir dir_{};
};

}  // namespace troupe::tests
