#include "cluster/monitor/run_view.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr double kRedrawSeconds = 1.0 / 8;
constexpr double kPlainStepSeconds = 5;
constexpr double kPlainProgressSeconds = 15;
constexpr int kCurveLabelColumns = 6;

const char* stage_name(Stage stage) { return stage == Stage::kSft ? "sft" : "grpo"; }

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::string pass_at_1(const EvalMetrics& evaluation) {
  const auto [low, high] = wilson_interval_95(evaluation.solved, evaluation.problems);
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", evaluation.pass_at_1(), low, high);
}

std::string title(const RunState& state, double now) {
  std::string text =
      fmt::format("troupe  {}  {} parameters  {}", state.name,
                  count(static_cast<double>(state.num_parameters)), duration(now - state.started));
  if (!state.end_state.empty()) text += "  " + state.end_state;
  return text;
}

std::string stage_line(const RunState& state, int columns) {
  if (!state.step) return "starting";
  const StepMetrics& step = *state.step;
  const double share = step.stage_steps > 0 ? static_cast<double>(step.stage_step) /
                                                  static_cast<double>(step.stage_steps)
                                            : 0.0;
  const std::string before = fmt::format("{:<4} ", stage_name(step.stage));
  std::string after = fmt::format(" {}/{}", step.stage_step, step.stage_steps);
  if (const auto left = state.stage_seconds_left(); left && state.end_state.empty()) {
    after += fmt::format("  {} left", duration(*left));
  }
  const int bar_columns =
      std::clamp(columns - columns_of(before) - columns_of(after), 0, columns / 2);
  return before + bar(share, bar_columns) + after;
}

std::string activity_line(const RunState& state) {
  if (state.activity.empty()) return {};
  if (state.activity_total <= 0) return state.activity;
  return fmt::format("{} {}/{}", state.activity, state.activity_done, state.activity_total);
}

std::vector<std::string> number_lines(const RunState& state) {
  std::vector<std::string> lines;
  if (state.evaluation) {
    std::string line =
        fmt::format("pass@1      {} of {}, temperature {:g}", pass_at_1(*state.evaluation),
                    state.evaluation->problems, state.evaluation->temperature);
    if (state.first_evaluation->version != state.evaluation->version) {
      line += fmt::format("; began at {:.3f}", state.first_evaluation->pass_at_1());
    }
    lines.push_back(std::move(line));
  }
  if (!state.step) return lines;
  const StepMetrics& step = *state.step;
  if (step.stage == Stage::kGrpo) {
    lines.push_back(fmt::format("reward      {:.3f} ± {:.3f}   accuracy {}   format {}",
                                step.reward_mean, step.reward_std, percent(step.accuracy),
                                percent(step.format_share)));
    lines.push_back(fmt::format("response    {:.1f} tokens   cut {}   thinking {}",
                                step.response_length_mean, percent(step.response_length_clipped),
                                percent(step.thinking_share)));
    lines.push_back(fmt::format("policy      entropy {:.3f}   groups with variance {}",
                                step.entropy, percent(1 - step.frac_reward_zero_std)));
    lines.push_back(fmt::format("update      KL {:.5f}   clip fraction {:.4f}   grad norm {:.3f}",
                                step.kl, step.clip_fraction, step.grad_norm));
  } else {
    lines.push_back(fmt::format("loss        {:.4f}   grad norm {:.3f}   lr {:.2g}", step.loss,
                                step.grad_norm, step.learning_rate));
  }
  std::string speed = fmt::format("tokens/s    learner {}", count(state.learner_tokens_per_second));
  if (step.stage == Stage::kGrpo) {
    speed += fmt::format("   rollout {}", count(state.rollout_tokens_per_second));
  }
  lines.push_back(std::move(speed));
  return lines;
}

struct Curve {
  std::string label{};
  std::span<const float> values{};
  double high = 1;
};

Curve chosen_curve(const RunState& state) {
  if (!state.accuracies.values().empty()) {
    // Accuracy is what the run is for; a job without an accuracy reward has only its reward.
    const auto& accuracies = state.accuracies.values();
    if (*std::max_element(accuracies.begin(), accuracies.end()) > 0) {
      return {"accuracy of the responses, by step", accuracies, 1};
    }
    const auto& rewards = state.rewards.values();
    return {"reward, by step", rewards,
            std::max(1e-6, double{*std::max_element(rewards.begin(), rewards.end())})};
  }
  const auto& losses = state.losses.values();
  if (losses.empty()) return {};
  return {"loss, by step", losses,
          std::max(1e-6, double{*std::max_element(losses.begin(), losses.end())})};
}

// A label, then `rows` - 1 lines of curve with the top and the bottom named.
void add_curve(const RunState& state, int columns, int rows, std::vector<ViewLine>& lines) {
  const Curve chosen = chosen_curve(state);
  if (chosen.values.empty() || rows < 2 || columns <= kCurveLabelColumns) return;
  lines.push_back({chosen.label, Tone::kFaint});
  const auto drawn = curve(chosen.values, columns - kCurveLabelColumns, rows - 1, 0, chosen.high);
  for (size_t i = 0; i < drawn.size(); ++i) {
    const std::string label = i == 0                  ? fmt::format("{:.2f}", chosen.high)
                              : i + 1 == drawn.size() ? "0.00"
                                                      : "";
    lines.push_back(
        {fmt::format("{:>{}} {}", label, kCurveLabelColumns - 1, drawn[i]), Tone::kCurve});
  }
}

void add_trace(const RunState& state, int columns, int rows, std::vector<ViewLine>& lines) {
  if (!state.trace || rows < 2) return;
  const Trace& trace = *state.trace;
  lines.push_back(
      {fmt::format("{} {}  (answer {})", trace.is_solved ? "✓" : "✗", trace.prompt, trace.gold),
       Tone::kStrong});
  std::string_view rest = trace.response;
  for (int row = 1; row < rows && !rest.empty(); ++row) {
    const bool is_last = row + 1 == rows;
    if (is_last || columns_of(rest) <= columns) {
      lines.push_back({fit(rest, columns)});
      return;
    }
    // All but the ellipsis, which only the last line needs.
    std::string line = fit(rest, columns);
    line.resize(line.size() - std::string_view("…").size());
    if (line.empty()) return;
    rest.remove_prefix(line.size());
    lines.push_back({std::move(line)});
  }
}

ViewSize terminal_size(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {size.ws_col, size.ws_row};
}

std::string_view escape(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kStrong:
      return "\x1b[1m";
    case Tone::kFaint:
      return "\x1b[2m";
    case Tone::kCurve:
      return "\x1b[32m";
  }
  return "";
}

std::string step_text(const StepMetrics& step) {
  std::string text = fmt::format("{} {}/{}  loss {:.4f}  grad_norm {:.3f}", stage_name(step.stage),
                                 step.stage_step, step.stage_steps, step.loss, step.grad_norm);
  if (step.stage == Stage::kGrpo) {
    text += fmt::format(
        "  reward {:.3f}  accuracy {:.3f}  length {:.1f}  thinking {:.2f}  entropy {:.3f}"
        "  kl {:.5f}  clip {:.4f}  varied {:.2f}",
        step.reward_mean, step.accuracy, step.response_length_mean, step.thinking_share,
        step.entropy, step.kl, step.clip_fraction, 1 - step.frac_reward_zero_std);
  }
  if (step.was_skipped) text += "  skipped";
  return text;
}

}  // namespace

SecondsClock monotonic_seconds() {
  return [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
}

std::vector<ViewLine> render(const RunState& state, ViewSize size, double now) {
  // What matters most is placed first; curve, notes and trace share what is left.
  std::vector<ViewLine> lines = {{title(state, now), Tone::kStrong},
                                 {stage_line(state, size.columns)}};
  const auto numbers = number_lines(state);
  int left = size.rows - static_cast<int>(lines.size() + numbers.size());
  const std::string activity = activity_line(state);
  if (left > 0) {
    lines.push_back({activity, Tone::kFaint});  // Also when empty, so that the page does not jump.
    --left;
  }
  if (left >= 4) {
    const size_t before = lines.size();
    add_curve(state, size.columns, std::clamp(left / 2, 4, 14), lines);
    left -= static_cast<int>(lines.size() - before);
  }
  for (const std::string& line : numbers) lines.push_back({line});

  const int notes = std::clamp(left / 2, 0, std::min(4, static_cast<int>(state.notes.size())));
  for (size_t i = state.notes.size() - static_cast<size_t>(notes); i < state.notes.size(); ++i) {
    lines.push_back({"· " + state.notes[i], Tone::kFaint});
  }
  add_trace(state, size.columns, std::min(left - notes, 8), lines);

  if (lines.size() > static_cast<size_t>(std::max(size.rows, 0))) {
    lines.resize(static_cast<size_t>(std::max(size.rows, 0)));
  }
  for (ViewLine& line : lines) line.text = fit(line.text, size.columns);
  return lines;
}

TerminalView::TerminalView(std::FILE* out, Options options)
    : out_(out), options_(std::move(options)) {
  if (!options_.size) options_.size = [out] { return terminal_size(out); };
}

TerminalView::~TerminalView() {
  if (is_dirty_) redraw();
}

void TerminalView::run_started(const JobSpec& job, std::string_view weights_sha256,
                               int64_t num_parameters) {
  state_.start(job, weights_sha256, num_parameters, options_.now());
  redraw_if_due();
}

void TerminalView::progressed(std::string_view activity, int64_t done, int64_t total) {
  state_.progress(activity, done, total);
  redraw_if_due();
}

void TerminalView::step_committed(const StepMetrics& step) {
  state_.add(step, options_.now());
  redraw_if_due();
}

void TerminalView::evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) {
  state_.add(evaluation, traces);
  redraw_if_due();
}

void TerminalView::sampled(const RunSample& sample) {
  state_.sample(sample);
  redraw_if_due();
}

void TerminalView::noted(std::string_view line) {
  state_.note(line);
  redraw_if_due();
}

void TerminalView::run_ended(const Ledger& ledger, std::string_view state,
                             std::string_view weights_sha256) {
  state_.end(ledger, state, weights_sha256);
  redraw();
}

void TerminalView::redraw_if_due() {
  is_dirty_ = true;
  if (!drawn_at_ || options_.now() - *drawn_at_ >= kRedrawSeconds) redraw();
}

void TerminalView::redraw() {
  const double now = options_.now();
  const ViewSize size = options_.size();
  // The line below the page belongs to the cursor; a page of all rows would scroll.
  const auto lines = render(state_, {size.columns, size.rows - 1}, now);

  std::string text = "\x1b[?25l";
  if (drawn_at_ && (size.columns != drawn_size_.columns || size.rows != drawn_size_.rows)) {
    // The terminal has re-wrapped the old page: nobody knows where it begins.
    text += "\x1b[2J\x1b[H";
  } else if (drawn_lines_ > 0) {
    text += fmt::format("\x1b[{}A", drawn_lines_);
  }
  for (const ViewLine& line : lines) {
    const std::string_view tone = options_.has_colours ? escape(line.tone) : "";
    text += fmt::format("\r\x1b[2K{}{}{}\n", tone, line.text, tone.empty() ? "" : "\x1b[0m");
  }
  text += "\x1b[J\x1b[?25h";
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);

  drawn_size_ = size;
  drawn_lines_ = static_cast<int>(lines.size());
  drawn_at_ = now;
  is_dirty_ = false;
}

PlainView::PlainView(std::FILE* out, SecondsClock now) : out_(out), now_(std::move(now)) {}

void PlainView::print(std::string_view line) {
  const std::string text =
      fmt::format("[{}] {}\n", duration(now_() - state_.started), printable(line));
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

void PlainView::run_started(const JobSpec& job, std::string_view weights_sha256,
                            int64_t num_parameters) {
  state_.start(job, weights_sha256, num_parameters, now_());
  print(fmt::format("{}: {} parameters, sft {} steps, grpo {} steps, seed {}, weights {}",
                    state_.name, num_parameters, job.sft.steps, job.grpo.steps, job.seed,
                    weights_sha256.substr(0, 12)));
}

void PlainView::progressed(std::string_view activity, int64_t done, int64_t total) {
  state_.progress(activity, done, total);
  if (now_() - progress_printed_at_ < kPlainProgressSeconds) return;
  progress_printed_at_ = now_();
  if (!state_.activity.empty()) print(activity_line(state_));
}

void PlainView::step_committed(const StepMetrics& step) {
  const bool is_new_stage = !state_.step || state_.step->stage != step.stage;
  state_.add(step, now_());
  const bool is_due = !step_printed_at_ || now_() - *step_printed_at_ >= kPlainStepSeconds;
  if (!is_new_stage && !is_due && step.stage_step != step.stage_steps) return;
  step_printed_at_ = now_();
  progress_printed_at_ = now_();
  std::string text = step_text(step);
  text += fmt::format("  learner {} tokens/s", count(state_.learner_tokens_per_second));
  if (step.stage == Stage::kGrpo) {
    text += fmt::format("  rollout {} tokens/s", count(state_.rollout_tokens_per_second));
  }
  if (const auto left = state_.stage_seconds_left()) text += "  left " + duration(*left);
  print(text);
}

void PlainView::evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) {
  state_.add(evaluation, traces);
  print(fmt::format(
      "eval version {}  pass@1 {}  of {}  temperature {:g}  length {:.1f}  "
      "thinking {:.2f}",
      number(evaluation.version), pass_at_1(evaluation), evaluation.problems,
      evaluation.temperature, evaluation.response_length_mean, evaluation.thinking_share));
}

void PlainView::sampled(const RunSample& sample) { state_.sample(sample); }

void PlainView::noted(std::string_view line) {
  state_.note(line);
  print(line);
}

void PlainView::run_ended(const Ledger& ledger, std::string_view state,
                          std::string_view weights_sha256) {
  state_.end(ledger, state, weights_sha256);
  print(fmt::format("{}: {} tokens generated, {} learned, weights {}", state,
                    ledger.tokens_generated, ledger.tokens_learned, weights_sha256));
}

std::unique_ptr<actors::MetricsSink> make_view(std::FILE* out) {
  const char* term = std::getenv("TERM");
  const bool can_move = term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  if (!can_move || ::isatty(::fileno(out)) == 0) return std::make_unique<PlainView>(out);
  const char* no_colour = std::getenv("NO_COLOR");
  const bool has_colours = no_colour == nullptr || *no_colour == '\0';
  return std::make_unique<TerminalView>(out, TerminalView::Options{.has_colours = has_colours});
}

}  // namespace troupe::cluster
