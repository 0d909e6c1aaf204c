#include "actors/verifier/verifier_role.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <thread>
#include <utility>

#include "actors/verifier/verifier_table.h"

namespace troupe::actors {
namespace {

// Processor time, which is what a verifier is billed for.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Of the processes that this one has started and that have ended.
double children_seconds() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One response of a request and where its verdict goes.
struct Item {
  const GroupToJudge* group = nullptr;
  const TextToJudge* response = nullptr;
  Verdict* verdict = nullptr;
};

}  // namespace

Result<std::unique_ptr<VerifierRole>> VerifierRole::create(const std::vector<RewardSpec>& rewards,
                                                           Options options) {
  if (Status status = check_rewards(rewards); !status) return status.error();
  auto sandbox = open_sandbox_for(rewards);
  if (!sandbox) return sandbox.error();
  // What only computes is spread over workers, which are disposable, and not over threads.
  const int threads = seconds_max(rewards) > 0 ? std::max(1, options.threads) : 1;
  std::vector<std::unique_ptr<Judge>> judges;
  for (int i = 0; i < threads; ++i) {
    auto judge =
        Judge::create(rewards, {.sandbox = *sandbox, .trusted_programs = options.trusted_programs});
    if (!judge) return judge.error();
    judges.push_back(std::move(*judge));
  }
  return std::unique_ptr<VerifierRole>(new VerifierRole(std::move(judges)));
}

GroupsJudged VerifierRole::judge(const JudgeGroups& request) {
  GroupsJudged judged;
  std::vector<Item> items;
  judged.groups.reserve(request.groups.size());
  for (const GroupToJudge& group : request.groups) {
    JudgedGroup& one =
        judged.groups.emplace_back(JudgedGroup{.id = group.id, .purpose = group.purpose});
    one.verdicts.resize(group.responses.size());
    for (size_t i = 0; i < group.responses.size(); ++i) {
      items.push_back({&group, &group.responses[i], &one.verdicts[i]});
    }
  }
  const double children_before = children_seconds();
  std::atomic<size_t> next = 0;
  std::vector<double> seconds(judges_.size());
  const auto work = [&](size_t thread) {
    const double start = thread_seconds();
    for (size_t i = next++; i < items.size(); i = next++) {
      const Item& item = items[i];
      *item.verdict = judges_[thread]->judge({.prompt = item.group->prompt,
                                              .text = item.response->text,
                                              .gold = item.group->gold,
                                              .num_tokens = item.response->num_tokens,
                                              .is_truncated = item.response->is_truncated});
    }
    seconds[thread] = thread_seconds() - start;
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(judges_.size(), items.size()); ++i) threads.emplace_back(work, i);
  work(0);
  for (std::thread& thread : threads) thread.join();
  for (const double one : seconds) judged.core_seconds += one;
  judged.core_seconds += children_seconds() - children_before;
  return judged;
}

}  // namespace troupe::actors
