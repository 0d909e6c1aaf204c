// What somebody looks at in `troupe top`: which page, which job, in what order, how far down. Keys
// and news go in, the page reads it; it knows nothing of terminals and daemons.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/monitor/key_reader.h"
#include "schemas/control.h"

namespace troupe::cluster {

enum class JobOrder : uint8_t { kState, kId, kName, kSteps, kCost };
enum class HostOrder : uint8_t { kName, kState, kUsed };

const char* name(JobOrder order);
const char* name(HostOrder order);

// By state: what runs comes first, then the queue as it is served, what is paused, and the newest
// of the rest. By steps and cost: most first.
std::vector<JobSummary> sorted(std::vector<JobSummary> jobs, JobOrder order);
std::vector<HostSummary> sorted(std::vector<HostSummary> hosts, HostOrder order);

class TopState {
 public:
  enum class Page : uint8_t { kJobs, kJob, kHosts, kTraces, kHelp };

  // ---- News.
  void list(std::vector<JobSummary> jobs);
  void list(std::vector<HostSummary> hosts);
  void tell(std::string message) { message_ = std::move(message); }  // Empty: all is well.
  // Of the job that is chosen: so many traces are there.
  void have_traces(size_t count);
  // The page that was drawn: so many rows were for what can be scrolled, out of so many.
  void drawn(size_t rows_shown, size_t rows);
  void press(const KeyPress& key);

  // ---- What is to be shown.
  Page page() const { return page_; }
  const std::vector<JobSummary>& jobs() const { return jobs_; }
  const std::vector<HostSummary>& hosts() const { return hosts_; }
  const std::string& message() const { return message_; }
  JobOrder job_order() const { return job_order_; }
  HostOrder host_order() const { return host_order_; }
  // The job that was chosen, or else the first one that runs, or else the first.
  const JobSummary* job() const;
  size_t trace_index() const { return trace_index_; }  // 0: the newest.
  size_t scroll() const { return scroll_; }            // Rows above the first that is shown.

  // ---- What is to be done.
  bool has_quit() const { return has_quit_; }
  bool takes_redraw() { return std::exchange(needs_redraw_, false); }
  // Hosts are asked for only while somebody looks at them.
  bool wants_hosts() const { return page_ == Page::kHosts; }
  // Whose feed is looked at. In the list only a job that runs has one worth asking for.
  std::optional<uint64_t> followed_job() const;

 private:
  void press_character(char character);
  void show(Page page);
  void move(int64_t rows);
  void sort_by_next();
  size_t job_index() const;

  Page page_ = Page::kJobs;
  Page page_before_help_ = Page::kJobs;
  std::vector<JobSummary> jobs_{};
  std::vector<HostSummary> hosts_{};
  std::string message_{};
  JobOrder job_order_ = JobOrder::kState;
  HostOrder host_order_ = HostOrder::kName;
  std::optional<uint64_t> chosen_job_{};
  size_t trace_count_ = 0;
  size_t trace_index_ = 0;
  size_t scroll_ = 0;
  size_t rows_shown_ = 1;
  size_t rows_ = 1;
  bool has_quit_ = false;
  bool needs_redraw_ = false;
};

}  // namespace troupe::cluster
