#include "cluster/monitor/top_state.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr int64_t kAll = std::numeric_limits<int32_t>::max();

int rank(JobState state) {
  switch (state) {
    case JobState::kRunning:
      return 0;
    case JobState::kQueued:
      return 1;
    case JobState::kPaused:
      return 2;
    case JobState::kFinished:
    case JobState::kFailed:
    case JobState::kCancelled:
      return 3;
  }
  return 3;
}

bool comes_first(const JobSummary& a, const JobSummary& b, JobOrder order) {
  switch (order) {
    case JobOrder::kState:
      if (rank(a.state) != rank(b.state)) return rank(a.state) < rank(b.state);
      // The queue is served in order; of what is over, the newest is looked for.
      return rank(a.state) == 3 ? a.id > b.id : a.id < b.id;
    case JobOrder::kId:
      return a.id < b.id;
    case JobOrder::kName:
      return std::tie(a.name, a.id) < std::tie(b.name, b.id);
    case JobOrder::kSteps:
      return std::tie(b.steps_done, a.id) < std::tie(a.steps_done, b.id);
    case JobOrder::kCost:
      return std::tie(b.money, a.id) < std::tie(a.money, b.id);
  }
  return false;
}

bool comes_first(const HostSummary& a, const HostSummary& b, HostOrder order) {
  switch (order) {
    case HostOrder::kName:
      break;
    case HostOrder::kState:
      // What needs somebody: "away" and "drained" come before "up".
      if (a.state != b.state) return a.state < b.state;
      break;
    case HostOrder::kUsed:
      if (a.used != b.used) return a.used > b.used;
      break;
  }
  return a.name < b.name;
}

template <class Order>
Order next_after(Order order, Order last) {
  return order == last ? Order{} : static_cast<Order>(static_cast<uint8_t>(order) + 1);
}

}  // namespace

const char* name(JobOrder order) {
  switch (order) {
    case JobOrder::kState:
      return "state";
    case JobOrder::kId:
      return "id";
    case JobOrder::kName:
      return "name";
    case JobOrder::kSteps:
      return "steps";
    case JobOrder::kCost:
      return "cost";
  }
  return "";
}

const char* name(HostOrder order) {
  switch (order) {
    case HostOrder::kName:
      return "name";
    case HostOrder::kState:
      return "state";
    case HostOrder::kUsed:
      return "used";
  }
  return "";
}

std::vector<JobSummary> sorted(std::vector<JobSummary> jobs, JobOrder order) {
  std::sort(jobs.begin(), jobs.end(),
            [order](const JobSummary& a, const JobSummary& b) { return comes_first(a, b, order); });
  return jobs;
}

std::vector<HostSummary> sorted(std::vector<HostSummary> hosts, HostOrder order) {
  std::sort(hosts.begin(), hosts.end(), [order](const HostSummary& a, const HostSummary& b) {
    return comes_first(a, b, order);
  });
  return hosts;
}

void TopState::list(std::vector<JobSummary> jobs) { jobs_ = sorted(std::move(jobs), job_order_); }

void TopState::list(std::vector<HostSummary> hosts) {
  hosts_ = sorted(std::move(hosts), host_order_);
}

void TopState::have_traces(size_t count) {
  // Who reads one goes on reading it: newer ones come before it.
  if (page_ == Page::kTraces && count > trace_count_ && trace_count_ > 0) {
    trace_index_ += count - trace_count_;
  }
  trace_count_ = count;
  trace_index_ = std::min(trace_index_, count == 0 ? 0 : count - 1);
}

void TopState::drawn(size_t rows_shown, size_t rows) {
  rows_shown_ = std::max<size_t>(rows_shown, 1);
  rows_ = rows;
  scroll_ = std::min(scroll_, rows_ > rows_shown_ ? rows_ - rows_shown_ : 0);
}

const JobSummary* TopState::job() const { return jobs_.empty() ? nullptr : &jobs_[job_index()]; }

size_t TopState::job_index() const {
  const auto first = [this](const auto& is_it) {
    return static_cast<size_t>(std::find_if(jobs_.begin(), jobs_.end(), is_it) - jobs_.begin());
  };
  if (chosen_job_) {
    const size_t chosen = first([this](const JobSummary& job) { return job.id == *chosen_job_; });
    if (chosen < jobs_.size()) return chosen;
  }
  const size_t running =
      first([](const JobSummary& job) { return job.state == JobState::kRunning; });
  return running < jobs_.size() ? running : 0;
}

std::optional<uint64_t> TopState::followed_job() const {
  const Page page = page_ == Page::kHelp ? page_before_help_ : page_;
  const JobSummary* chosen = job();
  if (chosen == nullptr || page == Page::kHosts) return std::nullopt;
  if (page == Page::kJobs && chosen->state != JobState::kRunning) return std::nullopt;
  return chosen->id;
}

void TopState::press(const KeyPress& key) {
  if (key.kind == Pressed::kRedraw) {
    needs_redraw_ = true;
    return;
  }
  if (key == KeyPress{Pressed::kCharacter, 'q'}) {
    has_quit_ = true;
    return;
  }
  if (page_ == Page::kHelp && (key.kind == Pressed::kEscape || key.kind == Pressed::kEnter ||
                               key == KeyPress{Pressed::kCharacter, '?'})) {
    show(page_before_help_);
    return;
  }
  const auto rows = static_cast<int64_t>(rows_shown_);
  switch (key.kind) {
    case Pressed::kCharacter:
      return press_character(key.character);
    case Pressed::kUp:
      return move(-1);
    case Pressed::kDown:
      return move(1);
    case Pressed::kPageUp:
      return move(-rows);
    case Pressed::kPageDown:
      return move(rows);
    case Pressed::kHome:
      return move(-kAll);
    case Pressed::kEnd:
      return move(kAll);
    case Pressed::kLeft:
      return press_character('p');
    case Pressed::kRight:
      return press_character('n');
    case Pressed::kEnter:
      if (page_ == Page::kJobs) show(Page::kJob);
      return;
    case Pressed::kEscape:
      return show(Page::kJobs);
    case Pressed::kRedraw:
      return;
  }
}

void TopState::press_character(char character) {
  switch (character) {
    case '1':
      return show(Page::kJobs);
    case '2':
      return show(Page::kJob);
    case '3':
      return show(Page::kHosts);
    case '4':
      return show(Page::kTraces);
    case '?':
      if (page_ != Page::kHelp) page_before_help_ = page_;
      return show(Page::kHelp);
    case 'k':
      return move(-1);
    case 'j':
      return move(1);
    case ' ':
      return move(static_cast<int64_t>(rows_shown_));
    case 's':
      return sort_by_next();
    case 'n':
      if (page_ != Page::kTraces) return page_ == Page::kJob ? move(1) : void();
      if (trace_index_ + 1 < trace_count_) ++trace_index_;
      scroll_ = 0;
      return;
    case 'p':
      if (page_ != Page::kTraces) return page_ == Page::kJob ? move(-1) : void();
      if (trace_index_ > 0) --trace_index_;
      scroll_ = 0;
      return;
    default:
      return;
  }
}

void TopState::show(Page page) {
  if (page_ == page) return;
  page_ = page;
  scroll_ = 0;
  if (page == Page::kTraces) trace_index_ = 0;
}

void TopState::move(int64_t rows) {
  const auto moved = [rows](size_t from, size_t count) {
    const auto last = static_cast<int64_t>(count == 0 ? 0 : count - 1);
    return static_cast<size_t>(std::clamp(static_cast<int64_t>(from) + rows, int64_t{0}, last));
  };
  if (page_ == Page::kJobs || page_ == Page::kJob) {
    if (jobs_.empty()) return;
    const uint64_t id = jobs_[moved(job_index(), jobs_.size())].id;
    if (job()->id != id) {
      trace_count_ = 0;
      trace_index_ = 0;
    }
    chosen_job_ = id;
    return;
  }
  scroll_ = moved(scroll_, rows_ >= rows_shown_ ? rows_ - rows_shown_ + 1 : 1);
}

void TopState::sort_by_next() {
  if (page_ == Page::kJobs) {
    // The job that one looks at stays the one, wherever it goes.
    if (const JobSummary* shown = job()) chosen_job_ = shown->id;
    job_order_ = next_after(job_order_, JobOrder::kCost);
    jobs_ = sorted(std::move(jobs_), job_order_);
  } else if (page_ == Page::kHosts) {
    host_order_ = next_after(host_order_, HostOrder::kUsed);
    hosts_ = sorted(std::move(hosts_), host_order_);
    scroll_ = 0;
  }
}

}  // namespace troupe::cluster
