#include "cluster/planner/queue_simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <utility>
#include <variant>

#include "actors/scheduler/cluster_queue.h"
#include "cluster/planner/event_queue.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

using actors::ClusterQueue;

// What the times of all jobs come to.
void sum_up(const std::vector<QueuedJob>& jobs, int64_t slots, QueueResult& result) {
  std::vector<double> waits;
  double used = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    waits.push_back(result.jobs[i].begun - jobs[i].submitted);
    used += static_cast<double>(jobs[i].slots()) * jobs[i].seconds;
    result.seconds = std::max(result.seconds, result.jobs[i].ended);
  }
  if (jobs.empty()) return;
  std::sort(waits.begin(), waits.end());
  result.wait_mean =
      std::accumulate(waits.begin(), waits.end(), 0.0) / static_cast<double>(waits.size());
  result.wait_p95 = waits[(waits.size() - 1) * 95 / 100];
  result.wait_max = waits.back();
  if (result.seconds > 0) {
    result.utilisation = used / (static_cast<double>(slots) * result.seconds);
  }
}

class QueueRun {
 public:
  explicit QueueRun(const std::vector<QueuedJob>& jobs) : jobs_(jobs), states_(jobs.size()) {
    result_.jobs.resize(jobs.size());
  }

  Result<QueueResult> run(int64_t hosts, int64_t slots_per_host) {
    for (int64_t i = 0; i < hosts; ++i) {
      queue_.host_up(fmt::format("host {:05}", i), static_cast<uint32_t>(slots_per_host),
                     /*is_elastic=*/false);
    }
    for (size_t i = 0; i < jobs_.size(); ++i) {
      states_[i].left = jobs_[i].seconds;
      events_.at(jobs_[i].submitted, [this, i] {
        queue_.submit(i, jobs_[i].need);
        decide();
      });
    }
    while (events_.step()) {
    }
    for (size_t i = 0; i < jobs_.size(); ++i) {
      if (states_[i].is_over) continue;
      return invalid_argument(
          fmt::format("{}: never begins: {}", jobs_[i].name, queue_.why(i, events_.now())));
    }
    sum_up(jobs_, hosts * slots_per_host, result_);
    return std::move(result_);
  }

 private:
  struct State {
    double left = 0;  // Seconds to run.
    double since = 0;
    uint64_t turn = 0;  // Counts its beginnings and ends.
    bool has_begun = false, is_over = false;
  };

  void decide() {
    // What is answered at once may let others begin.
    for (auto commands = queue_.decide(events_.now()); !commands.empty();
         commands = queue_.decide(events_.now())) {
      bool is_answered = false;
      for (const auto& command : commands) {
        std::visit(Overloaded{
                       [&](const ClusterQueue::Start& one) { begin(one.job); },
                       [&](const ClusterQueue::Resize& one) {
                         queue_.resized(one.job, one.number);
                         is_answered = true;
                       },
                       [&](const ClusterQueue::Stop& one) {
                         stop(one.job);
                         is_answered = true;
                       },
                       [](const ClusterQueue::Changed&) {},
                   },
                   command);
      }
      if (!is_answered) return;
    }
  }

  void begin(uint64_t job) {
    State& state = states_[job];
    if (!state.has_begun) result_.jobs[job].begun = events_.now();
    state.has_begun = true;
    state.since = events_.now();
    events_.after(state.left, [this, job, turn = ++state.turn] {
      State& mine = states_[job];
      if (mine.turn != turn) return;
      ++mine.turn;
      mine.is_over = true;
      result_.jobs[job].ended = events_.now();
      queue_.ended(job, JobState::kFinished);
      decide();
    });
  }

  void stop(uint64_t job) {
    State& state = states_[job];
    ++state.turn;
    ++result_.jobs[job].times_stopped;
    state.left -= events_.now() - state.since;
    queue_.ended(job, JobState::kPaused);
  }

  const std::vector<QueuedJob>& jobs_;
  std::vector<State> states_;
  EventQueue events_{};
  ClusterQueue queue_{ClusterQueue::Options{}};
  QueueResult result_{};
};

class Pool {
 public:
  Pool(const std::vector<QueuedJob>& jobs, int64_t slots, PooledOrder order, QueueResult& result)
      : jobs_(jobs), order_(order), result_(result), free_(slots) {}

  void submitted(size_t job) {
    waiting_.push_back(job);
    fill(jobs_[job].submitted);
  }
  // Ends what ends until then.
  void pass_until(double time) {
    while (!running_.empty() && running_.begin()->first <= time) {
      const auto [now, job] = *running_.begin();
      running_.erase(running_.begin());
      free_ += jobs_[job].slots();
      fill(now);
    }
  }

 private:
  void begin(size_t job, double now) {
    free_ -= jobs_[job].slots();
    result_.jobs[job] = {.begun = now, .ended = now + jobs_[job].seconds};
    running_.emplace(result_.jobs[job].ended, job);
  }

  void fill(double now) {
    size_t first = 0;
    while (first < waiting_.size() && jobs_[waiting_[first]].slots() <= free_) {
      begin(waiting_[first++], now);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(first));
    if (order_ == PooledOrder::kFirstComeFirst || waiting_.empty() || free_ == 0) return;
    // When the first one's turn comes, and what it leaves free then.
    double turn = now;
    int64_t then = free_;
    for (const auto& [end, job] : running_) {
      if (then >= jobs_[waiting_.front()].slots()) break;
      then += jobs_[job].slots();
      turn = end;
    }
    int64_t spare = then - jobs_[waiting_.front()].slots();
    std::vector<size_t> left{waiting_.front()};
    for (size_t i = 1; i < waiting_.size(); ++i) {
      const QueuedJob& job = jobs_[waiting_[i]];
      const bool is_over_before = now + job.seconds <= turn;
      if (job.slots() > free_ || (!is_over_before && job.slots() > spare)) {
        left.push_back(waiting_[i]);
        continue;
      }
      if (!is_over_before) spare -= job.slots();
      begin(waiting_[i], now);
    }
    waiting_ = std::move(left);
  }

  const std::vector<QueuedJob>& jobs_;
  const PooledOrder order_;
  QueueResult& result_;
  int64_t free_;
  std::vector<size_t> waiting_{};
  std::multimap<double, size_t> running_{};
};

}  // namespace

Result<QueueResult> simulate_queue(const std::vector<QueuedJob>& jobs, int64_t hosts,
                                   int64_t slots_per_host) {
  return QueueRun(jobs).run(hosts, slots_per_host);
}

QueueResult pooled_queue(const std::vector<QueuedJob>& jobs, int64_t slots, PooledOrder order) {
  QueueResult result;
  result.jobs.resize(jobs.size());
  std::vector<size_t> by_time(jobs.size());
  std::iota(by_time.begin(), by_time.end(), size_t{0});
  std::stable_sort(by_time.begin(), by_time.end(),
                   [&](size_t a, size_t b) { return jobs[a].submitted < jobs[b].submitted; });
  Pool pool(jobs, slots, order, result);
  for (const size_t job : by_time) {
    pool.pass_until(jobs[job].submitted);
    pool.submitted(job);
  }
  pool.pass_until(std::numeric_limits<double>::infinity());
  sum_up(jobs, slots, result);
  return result;
}

}  // namespace troupe::cluster
