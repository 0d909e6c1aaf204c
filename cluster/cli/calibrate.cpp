// `troupe calibrate`: the planner's numbers of this machine, measured for the policy of a job.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/planning.h"
#include "cluster/cli/policy_speed.h"
#include "cluster/planner/calibration.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/formats/file.h"

namespace troupe::cluster {
namespace {

struct CalibrateCommand {
  PlanningQuestion question{.cluster = "1x1xcpu"};
  std::string out{};
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A file as large as a small policy's recovery point, where the table goes.
Status measure_files(const std::string& path, MeasuredMachine& measured) {
  constexpr size_t kBytes = 64 << 20;
  const std::string text(kBytes, 'x');
  Status status = ok();
  const double writing = seconds_of([&] { status = model::write_file(path, text); });
  if (!status) return status;
  const double reading = seconds_of([&] {
    if (const auto read = model::read_file(path, kBytes); !read) status = read.error();
  });
  ::unlink(path.c_str());
  measured.storage_gbps = static_cast<double>(kBytes) / 1e9 / writing;
  measured.load_gbps = static_cast<double>(kBytes) / 1e9 / reading;
  return status;
}

Status calibrate(const CalibrateCommand& command) {
  const auto subject = read_subject(command.question);
  if (!subject) return subject.error();
  const auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  const auto threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const auto say = [](const std::string& what) { fmt::print(stderr, "{}\n", what); };
  const JobSpec& job = subject->job;
  const std::string policy =
      job.policy.model.empty() ? job.policy.config : "the model of " + job.policy.model;
  MeasuredMachine measured;
  const std::string folder = command.out + ".measured";
  if (Status fine = measure_files(folder, measured); !fine) return fine;

  PolicyBench bench(**backend, subject->config, threads);
  constexpr int64_t kContextMax = 4096, kResponsesMax = 64;
  const int64_t longest = std::min({job.data.max_prompt_tokens + job.rollout.max_response_tokens,
                                    subject->config.max_position_embeddings, kContextMax});
  const int64_t together = std::clamp<int64_t>(
      job.grpo.prompts_per_round * job.grpo.group_size / threads, 4, kResponsesMax);
  for (const int64_t responses : {int64_t{1}, together / 4, together}) {
    for (const int64_t context : {std::max<int64_t>(1, longest / 4), longest}) {
      if (!bench.has_memory_for(responses, context)) continue;
      say(fmt::format("decoding {} responses a thread, context {}", responses, context));
      const PolicySpeed speed = bench.decode(responses, context);
      measured.decode.push_back(
          {static_cast<double>(responses), static_cast<double>(context),
           static_cast<double>(responses * threads) / median(speed.tokens_per_second)});
    }
  }
  if (measured.decode.size() < 3) {
    return invalid_argument(
        fmt::format("{}: this machine has no memory for a few responses of {} tokens",
                    command.question.job, longest));
  }
  say("a prompt of 512 tokens a thread");
  measured.prefill_length = 512;
  measured.prefill_seconds = threads / median(bench.prefill().tokens_per_second);
  say("learning");
  measured.learn_length = subject->config.vocab_size > 8192 ? 96 : 256;
  measured.learn_seconds = threads / median(bench.train().tokens_per_second);
  measured.memory_gb = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                       static_cast<double>(::sysconf(_SC_PAGE_SIZE)) / 1e9 / threads;
  const std::string tables =
      calibrated_tables(count_policy(subject->config), measured, policy, "here");
  if (Status written = model::write_file(command.out, tables); !written) return written;
  fmt::print("{}: {} threads; troupe simulate {} --cluster 1x{}xcpu --tables {}\n", command.out,
             threads, command.question.job, threads, command.out);
  return flush_output();
}

}  // namespace

void add_calibrate(Command& program, int& exit_code) {
  Command command = program.add_command(
      "calibrate", "Measure this machine's CPU for troupe plan and troupe simulate");
  const auto state = std::make_shared<CalibrateCommand>();
  command.add_option("job", state->question.job, "The job file, whose policy is measured")
      .required();
  command.add_option("--set", state->question.overrides, "table.key=value, over what the job says")
      .may_repeat();
  command.add_option("--out", state->out, "The table, as TOML; a file that is there is replaced")
      .required();
  command.footer(
      "Decodes, reads prompts and learns with random weights on all threads at once, for some\n"
      "seconds, and writes what the planner's formulas need to give these times. The table is of\n"
      "this machine as busy as it was, and of one policy.\n"
      "Example:\n  troupe calibrate cluster/jobs/quickstart.toml --out here.toml\n"
      "  troupe plan cluster/jobs/quickstart.toml --cluster 1x2xcpu --tables here.toml");
  command.callback([state, &exit_code] {
    const Status done = calibrate(*state);
    exit_code = done ? 0 : report("calibrate", done.error());
  });
}

}  // namespace troupe::cluster
