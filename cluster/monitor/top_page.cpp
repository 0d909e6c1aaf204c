#include "cluster/monitor/top_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr int kNameColumnsMax = 32;
constexpr int kMessageColumnsMax = 200;
constexpr size_t kMessageRowsMax = 3;
constexpr int kRunRowsMin = 8;  // Less of a run is not worth the rows that the jobs could have.

constexpr const char* kHelp[] = {
    "1        the jobs, and the one that is chosen",
    "2 Enter  one job",
    "3        the hosts",
    "4        what the job answered to held-out problems",
    "",
    "↑ ↓ k j  choose a job; scroll",
    "← → p n  the job or answer before, the next one",
    "PgUp PgDn Space Home End   far up and down",
    "s        sort by what comes next: jobs by state, id, name, steps, cost; hosts by",
    "         name, state, used slots",
    "Esc      back to the jobs",
    "?        this page",
    "Ctrl-L   draw everything anew",
    "q Ctrl-C leave; the jobs go on",
    "",
    "troupe watch, show, why, logs ID say more of a job; troupe nodes of the hosts.",
};

std::string padded(const std::string& text, int columns) {
  return text + std::string(static_cast<size_t>(std::max(0, columns - columns_of(text))), ' ');
}

std::string summary_line(std::span<const JobSummary> jobs) {
  std::map<int, std::pair<const char*, int>> by_state;
  for (const JobSummary& job : jobs) {
    auto& [state_name, n] = by_state[static_cast<int>(job.state)];
    state_name = name(job.state);
    ++n;
  }
  std::string text = "troupe  " + std::to_string(jobs.size()) + " jobs";
  for (const auto& [state, named] : by_state) {
    text += fmt::format("   {} {}", named.second, named.first);
  }
  return text;
}

std::string keys_line(const TopState& state) {
  const std::string pages = "1 jobs  2 job  3 hosts  4 traces";
  const std::string always = "? help  q quit";
  switch (state.page()) {
    case TopState::Page::kJobs:
      return fmt::format("{} · ↑↓ choose  s by {}  {}", pages, name(state.job_order()), always);
    case TopState::Page::kJob:
      return fmt::format("{} · ←→ other job  {}", pages, always);
    case TopState::Page::kHosts:
      return fmt::format("{} · ↑↓ scroll  s by {}  {}", pages, name(state.host_order()), always);
    case TopState::Page::kTraces:
      return fmt::format("{} · ←→ other  ↑↓ scroll  {}", pages, always);
    case TopState::Page::kHelp:
      return "Esc back  q quit";
  }
  return {};
}

// Rows that are looked at through a window of `rows`, from row `first` on.
struct Window {
  size_t first = 0;
  size_t rows = 0;
};

// With the chosen row in it, in the middle where that can be.
Window around(size_t chosen, size_t count, size_t rows) {
  const size_t last = count > rows ? count - rows : 0;
  return {std::min(chosen > rows / 2 ? chosen - rows / 2 : 0, last), std::min(rows, count)};
}

class Writer {
 public:
  Writer(const TopState& state, const RunState* run, ViewSize size, double now)
      : state_(state), run_(run), size_(size), now_(now) {}

  TopPage write() {
    if (size_.rows <= 0) return {};
    add(summary_line(state_.jobs()), Tone::kStrong);
    auto message = wrapped(printable(state_.message()), size_.columns);
    message.resize(std::min(message.size(), kMessageRowsMax));
    for (std::string& line : message) add(std::move(line), Tone::kStrong);
    switch (state_.page()) {
      case TopState::Page::kJobs:
        add_jobs();
        break;
      case TopState::Page::kJob:
        add_job();
        break;
      case TopState::Page::kHosts:
        add_hosts();
        break;
      case TopState::Page::kTraces:
        add_trace();
        break;
      case TopState::Page::kHelp:
        add_scrolled({std::begin(kHelp), std::end(kHelp)});
        break;
    }
    // The keys have the last row.
    auto& lines = page_.lines;
    lines.resize(static_cast<size_t>(size_.rows - 1));
    lines.push_back({keys_line(state_), Tone::kFaint});
    for (ViewLine& line : lines) line.text = fit(line.text, size_.columns);
    return std::move(page_);
  }

 private:
  void add(std::string text, Tone tone = Tone::kPlain) {
    page_.lines.push_back({std::move(text), tone});
  }
  // Rows between what is written and the keys.
  size_t left() const {
    const int used = static_cast<int>(page_.lines.size()) + 1;
    return static_cast<size_t>(std::max(0, size_.rows - used));
  }

  void add_run() {
    const auto rows = static_cast<int>(left());
    auto lines = render(*run_, {size_.columns, rows}, now_);
    std::move(lines.begin(), lines.end(), std::back_inserter(page_.lines));
  }

  void add_jobs() {
    const auto table = job_table(state_.jobs());
    const size_t count = table.size() - 1;
    // The jobs get a third, all of it where no run is shown, and what the run leaves.
    size_t rows = left() > 0 ? left() - 1 : 0;
    const bool has_run = run_ != nullptr && rows >= kRunRowsMin + 2;
    if (has_run) rows = std::min(std::max<size_t>(3, rows / 3), count);
    add("  " + table.front(), Tone::kFaint);
    const JobSummary* chosen = state_.job();
    const auto chosen_row =
        static_cast<size_t>(chosen == nullptr ? 0 : chosen - state_.jobs().data());
    const Window window = around(chosen_row, count, rows);
    for (size_t i = window.first; i < window.first + window.rows; ++i) {
      const bool is_chosen = i == chosen_row;
      add((is_chosen ? "› " : "  ") + table[i + 1], is_chosen ? Tone::kStrong : Tone::kPlain);
    }
    page_.rows_shown = rows;
    page_.rows = count;
    if (!has_run) return;
    add("");
    add_run();
  }

  void add_job() {
    const JobSummary* job = state_.job();
    page_.rows_shown = 1;
    if (job == nullptr) return add("no job yet: troupe submit JOB.toml", Tone::kFaint);
    std::string line =
        fmt::format("job {}  {}  {}  {}/{} steps", job->id, fit(printable(job->name), 32),
                    name(job->state), job->steps_done, job->steps_total);
    if (!job->owner.empty()) line += "  of " + fit(printable(job->owner), kNameColumnsMax);
    add(std::move(line), Tone::kStrong);
    if (!job->message.empty()) add(printable(job->message));
    const bool has_run = run_ != nullptr && !run_->name.empty();
    if (!has_run) return add("nothing is heard of it yet", Tone::kFaint);
    add_run();
  }

  void add_hosts() {
    std::vector<std::string> rows;
    for (const HostSummary& host : state_.hosts()) {
      std::string state_text = printable(host.state);
      if (host.away_seconds > 0) state_text += " " + duration(host.away_seconds);
      std::string jobs;
      for (const HostTenant& tenant : host.tenants) {
        jobs += fmt::format("{}{}", jobs.empty() ? "" : " ", tenant.job);
      }
      rows.push_back(fmt::format("{}  {}  {:>5}  {:>5}  {:>5}  {:>10}  {}",
                                 padded(fit(printable(host.name), 24), 24),
                                 padded(fit(state_text, 12), 12), host.slots, host.used, host.lent,
                                 byte_count(host.disk_free_bytes), jobs));
    }
    add(fmt::format("{:<24}  {:<12}  {:>5}  {:>5}  {:>5}  {:>10}  {}", "HOST", "STATE", "SLOTS",
                    "USED", "LENT", "DISK FREE", "JOBS"),
        Tone::kFaint);
    add_scrolled(rows);
  }

  void add_trace() {
    const size_t count = run_ == nullptr ? 0 : run_->answers.size();
    page_.rows_shown = 1;
    const JobSummary* job = state_.job();
    if (job == nullptr || count == 0) {
      return add("no answer yet: they come with each evaluation (eval.every_steps)", Tone::kFaint);
    }
    const size_t index = std::min(state_.trace_index(), count - 1);
    const auto& [version, trace] = run_->answers[index];
    add(fmt::format("job {}  answer {} of {}  policy version {}  {}", job->id, index + 1, count,
                    number(version), trace.is_solved ? "✓ right" : "✗ wrong"),
        Tone::kStrong);
    std::vector<std::string> rows = wrapped(trace.prompt, size_.columns);
    rows.push_back("");
    for (std::string& row : wrapped(trace.response, size_.columns)) rows.push_back(std::move(row));
    rows.push_back("");
    for (std::string& row : wrapped("the right answer: " + trace.gold, size_.columns))
      rows.push_back(std::move(row));
    add_scrolled(rows);
  }

  // Rows that the state has scrolled.
  void add_scrolled(const std::vector<std::string>& rows) {
    page_.rows_shown = left();
    page_.rows = rows.size();
    const size_t last = rows.size() > page_.rows_shown ? rows.size() - page_.rows_shown : 0;
    const size_t first = std::min(state_.scroll(), last);
    const size_t end = std::min(rows.size(), first + page_.rows_shown);
    for (size_t i = first; i < end; ++i) add(rows[i]);
  }

  const TopState& state_;
  const RunState* run_;
  const ViewSize size_;
  const double now_;
  TopPage page_{};
};

}  // namespace

std::vector<std::string> job_table(std::span<const JobSummary> jobs) {
  int name_columns = 4;
  int owner_columns = 0;
  std::vector<std::string> names, owners;
  for (const JobSummary& job : jobs) {
    names.push_back(fit(printable(job.name), kNameColumnsMax));
    name_columns = std::max(name_columns, columns_of(names.back()));
    owners.push_back(fit(printable(job.owner), kNameColumnsMax));
    owner_columns = std::max(owner_columns, columns_of(owners.back()));
  }
  if (owner_columns > 0) owner_columns = std::max(owner_columns, 5);
  const auto owner = [&](const std::string& text) {
    return owner_columns == 0 ? "" : padded(text, owner_columns) + "  ";
  };
  std::vector<std::string> lines = {fmt::format("{:>6}  {}{}  {:<9}  {:>13}  {:>10}", "ID",
                                                owner("OWNER"), padded("NAME", name_columns),
                                                "STATE", "STEPS", "COST")};
  for (size_t i = 0; i < jobs.size(); ++i) {
    const JobSummary& job = jobs[i];
    std::string line =
        fmt::format("{:>6}  {}{}  {:<9}  {:>13}  {:>10.4f}", job.id, owner(owners[i]),
                    padded(names[i], name_columns), name(job.state),
                    fmt::format("{}/{}", job.steps_done, job.steps_total), job.money);
    if (!job.message.empty()) line += "  " + fit(printable(job.message), kMessageColumnsMax);
    lines.push_back(std::move(line));
  }
  return lines;
}

TopPage render_top(const TopState& state, const RunState* run, ViewSize size, double now) {
  return Writer(state, run, size, now).write();
}

}  // namespace troupe::cluster
