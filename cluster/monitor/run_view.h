// A run as people watch it: a live page on a terminal, plain lines anywhere else.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/metrics_sink.h"
#include "cluster/monitor/run_state.h"

namespace troupe::cluster {

struct ViewSize {
  int columns = 80;
  int rows = 24;

  bool operator==(const ViewSize&) const = default;
};

enum class Tone : uint8_t { kPlain, kStrong, kFaint, kCurve };

struct ViewLine {
  std::string text{};
  Tone tone = Tone::kPlain;
};

// The page: at most `size.rows` lines of at most `size.columns` columns.
std::vector<ViewLine> render(const RunState& state, ViewSize size, double now);

// Rows and columns of the terminal behind `out`; 80x24 when it is none.
ViewSize terminal_size(std::FILE* out);
// `out` is a terminal that can move its cursor: TERM is set and not "dumb".
bool can_redraw(std::FILE* out);
// Colours are wanted: NO_COLOR is not set.
bool has_colours();

// Draws page after page in one place. The cursor is where the page ends and is visible between
// pages, so that a process that is killed leaves an ordinary terminal behind.
class PageWriter {
 public:
  struct Options {
    bool has_colours = true;
  };

  // `out` must outlive it.
  PageWriter(std::FILE* out, Options options) : out_(out), options_(options) {}

  // `size` is the terminal's; a page has at most size.rows - 1 lines, because a page of all rows
  // would scroll.
  void draw(const std::vector<ViewLine>& lines, ViewSize size);
  // Something else was written: the next page begins on an empty screen.
  void forget() { drawn_size_ = ViewSize{0, 0}; }

 private:
  std::FILE* out_;
  Options options_;
  std::optional<ViewSize> drawn_size_{};
  int drawn_lines_ = 0;
};

// Redraws one page in place, at most 8 times a second.
class TerminalView : public actors::MetricsSink {
 public:
  struct Options {
    bool has_colours = true;
    SecondsClock now = monotonic_seconds;
    std::function<ViewSize()> size{};  // Empty: asks the terminal behind `out` at each redraw.
    SecondsClock event_time{};         // When what is told happened; empty: now.
  };

  // `out` must outlive the view.
  TerminalView(std::FILE* out, Options options);
  ~TerminalView() override;

  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override;
  void progressed(std::string_view activity, int64_t done, int64_t total) override;
  void step_committed(const StepMetrics& step) override;
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override;
  void sampled(const RunSample& sample) override;
  void noted(std::string_view line) override;
  void run_ended(const Ledger& ledger, std::string_view state,
                 std::string_view weights_sha256) override;

 private:
  void redraw_if_due();
  void redraw();

  Options options_;
  PageWriter writer_;
  RunState state_{};
  bool is_dirty_ = false;
  std::optional<double> drawn_at_{};
};

// One line per step, but not more often than every few seconds; one per evaluation and note, and
// every quarter of a minute one about the workers.
class PlainView : public actors::MetricsSink {
 public:
  // `out` must outlive the view.
  explicit PlainView(std::FILE* out, SecondsClock now = monotonic_seconds);

  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override;
  void progressed(std::string_view activity, int64_t done, int64_t total) override;
  void step_committed(const StepMetrics& step) override;
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override;
  void sampled(const RunSample& sample) override;
  void noted(std::string_view line) override;
  void run_ended(const Ledger& ledger, std::string_view state,
                 std::string_view weights_sha256) override;

 private:
  void print(std::string_view line);

  std::FILE* out_;
  SecondsClock now_;
  RunState state_{};
  std::optional<double> step_printed_at_{};
  double progress_printed_at_ = 0;
  double sample_printed_at_ = 0;
};

// TerminalView when `out` can be redrawn, PlainView otherwise. `event_time` says when what is told
// happened, for a run that is told afterwards; empty: now.
std::unique_ptr<actors::MetricsSink> make_view(std::FILE* out, SecondsClock event_time = {});

}  // namespace troupe::cluster
