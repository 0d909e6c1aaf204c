#include "cluster/monitor/run_view.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr double kRedrawSeconds = 1.0 / 8;
constexpr double kPlainStepSeconds = 5;
constexpr double kPlainProgressSeconds = 15;
constexpr double kPlainSampleSeconds = 15;
constexpr int kCurveLabelColumns = 6;
constexpr int kCurveRowsMin = 3;  // A label and two lines.
constexpr int kCurveRowsMax = 14;
constexpr int kTraceRowsMax = 8;

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
    // Nobody knows the pace of a stage that has not begun.
    if (!state.is_last_stage()) after += fmt::format(", then {} of grpo", state.grpo_steps);
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
    // What is a matter of degree is not a share of right ones.
    std::string degrees;
    for (const auto& [part, value] : step.reward_values) {
      if (step.verdicts.count(part + "/scored") == 0) continue;
      degrees += fmt::format("{}{} {:.3f}", degrees.empty() ? "" : "   ", printable(part), value);
    }
    if (!degrees.empty()) lines.push_back("scores      " + degrees);
    lines.push_back(fmt::format("response    {:.1f} tokens   cut {}   thinking {}",
                                step.response_length_mean, percent(step.response_length_clipped),
                                percent(step.thinking_share)));
    lines.push_back(fmt::format(
        "policy      entropy {:.3f}   groups with variance {}   staleness {:.1f}", step.entropy,
        percent(1 - step.frac_reward_zero_std), step.staleness_steps_mean));
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
  if (state.latest) {
    speed += fmt::format("   verdicts/s {}", count(state.latest->verdicts_per_second));
  }
  lines.push_back(std::move(speed));
  return lines;
}

std::string busy_text(const RunSample& sample) {
  return fmt::format("rollout {}   verifier {}   learner {}", percent(sample.rollout_busy_share),
                     percent(sample.verifier_busy_share), percent(sample.learner_busy_share));
}

std::string queue_text(const RunSample& sample) {
  return fmt::format("waiting {}   generating {}   judging {}   committing {}   learning {}",
                     sample.groups_waiting, sample.groups_generating, sample.groups_judging,
                     sample.groups_committing, sample.steps_learning);
}

// "equal 812   different 74", most first.
std::string counts_text(const std::map<std::string, int64_t>& counts) {
  std::vector<std::pair<std::string_view, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (const auto& [name, n] : sorted) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "   ", name, n);
  }
  return text;
}

// What the run has used and lost; what happened to nothing takes no line.
std::vector<std::string> cluster_lines(const RunState& state) {
  std::vector<std::string> lines;
  if (state.latest && state.end_state.empty()) {
    lines.push_back("busy        " + busy_text(*state.latest));
    lines.push_back("queues      " + queue_text(*state.latest));
  }
  if (!state.latest && state.end_state.empty()) return lines;
  const Ledger& ledger = state.ledger;
  if (!ledger.verdicts.empty()) lines.push_back("verdicts    " + counts_text(ledger.verdicts));
  lines.push_back(
      fmt::format("tokens      generated {}   regenerated {}{}   learned {}",
                  count(static_cast<double>(ledger.tokens_generated)),
                  count(static_cast<double>(ledger.tokens_regenerated)),
                  ledger.tokens_kept > 0
                      ? fmt::format("   kept {}", count(static_cast<double>(ledger.tokens_kept)))
                      : "",
                  count(static_cast<double>(ledger.tokens_learned))));
  lines.push_back(fmt::format("cost        {:.4f}   core-s rollout {}   verifier {}   learner {}",
                              ledger.money, count(ledger.rollout_seconds),
                              count(ledger.verifier_seconds), count(ledger.learner_seconds)));
  std::string lost;
  if (ledger.workers_lost > 0) lost += fmt::format("   workers {}", ledger.workers_lost);
  if (ledger.steps_redone > 0) lost += fmt::format("   steps redone {}", ledger.steps_redone);
  if (ledger.wasted_seconds > 0) lost += fmt::format("   core-s {}", count(ledger.wasted_seconds));
  if (!ledger.trajectories_dropped.empty()) {
    lost += "   dropped: " + counts_text(ledger.trajectories_dropped);
  }
  if (!lost.empty()) lines.push_back("lost     " + lost);
  return lines;
}

bool is_idle(const WorkerStatus& worker) {
  return worker.activity.empty() || worker.activity.rfind("idle", 0) == 0;
}

// What it plays, and where in a learner of several ranks.
std::string part_of(const WorkerStatus& worker) {
  if (worker.num_ranks <= 1) return worker.roles;
  return fmt::format("{} rank {} of {}", worker.roles, worker.rank, worker.num_ranks);
}

// What the learner's ranks have said to each other; empty where there is one.
std::string team_text(const std::vector<WorkerStatus>& workers) {
  uint32_t ranks = 1;
  double bytes = 0;
  for (const WorkerStatus& worker : workers) {
    ranks = std::max(ranks, worker.num_ranks);
    bytes += static_cast<double>(worker.team_bytes);
  }
  if (ranks == 1) return "";
  return fmt::format("   learner of {} ranks, {}B moved", ranks, count(bytes));
}

// A summary by role, then at most `rows` - 1 workers: those that are not ready, the busy, the idle.
void add_workers(const RunState& state, int rows, std::vector<ViewLine>& lines) {
  if (!state.latest || rows < 1) return;
  const auto& workers = state.latest->workers;
  std::map<std::string, int64_t> by_roles;
  int64_t busy = 0;
  int64_t not_ready = 0;
  for (const WorkerStatus& worker : workers) {
    ++by_roles[worker.roles];
    busy += worker.is_ready && !is_idle(worker);
    not_ready += !worker.is_ready;
  }
  lines.push_back({fmt::format("workers     {} busy   {} not ready   of {}   {}{}", busy, not_ready,
                               workers.size(), counts_text(by_roles), team_text(workers))});

  std::vector<size_t> order(workers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto rank = [&workers](size_t i) {
    return std::tuple(workers[i].is_ready, is_idle(workers[i]), workers[i].slot, i);
  };
  const size_t shown = std::min(order.size(), static_cast<size_t>(rows - 1));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&rank](size_t a, size_t b) { return rank(a) < rank(b); });
  int roles_columns = 0;
  for (size_t i = 0; i < shown; ++i) {
    roles_columns = std::max(roles_columns, columns_of(part_of(workers[order[i]])));
  }
  roles_columns = std::min(roles_columns, 32);
  for (size_t i = 0; i < shown; ++i) {
    const WorkerStatus& worker = workers[order[i]];
    const std::string roles = fit(part_of(worker), roles_columns);
    const std::string padding(static_cast<size_t>(roles_columns - columns_of(roles)), ' ');
    lines.push_back({fmt::format("{:>5}  {}{}  {}{}", worker.slot, roles, padding,
                                 is_idle(worker) ? "idle" : worker.activity,
                                 worker.is_ready ? "" : " (not ready)"),
                     is_idle(worker) ? Tone::kFaint : Tone::kPlain});
  }
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

// What a trace takes when it may: the prompt and all of the response, but not the whole page.
int trace_lines(const RunState& state, int columns) {
  if (state.answers.empty() || columns <= 0) return 0;
  const int response_columns = columns_of(state.answers.front().trace.response);
  return std::min(1 + (response_columns + columns - 1) / columns, kTraceRowsMax);
}

void add_trace(const RunState& state, int columns, int rows, std::vector<ViewLine>& lines) {
  if (state.answers.empty() || rows < 2) return;
  const Trace& trace = state.answers.front().trace;
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
    if (step.staleness_steps_max > 0) {
      text += fmt::format("  staleness {:.1f}", step.staleness_steps_mean);
    }
  }
  if (step.was_skipped) text += "  skipped";
  return text;
}

}  // namespace

std::vector<ViewLine> render(const RunState& state, ViewSize size, double now) {
  std::vector<ViewLine> lines = {{title(state, now), Tone::kStrong},
                                 {stage_line(state, size.columns)}};
  auto numbers = number_lines(state);
  for (std::string& line : cluster_lines(state)) numbers.push_back(std::move(line));

  // Each part first gets the little that makes it readable, what matters most before the others;
  // then the parts that can grow share what is left.
  int left = size.rows - static_cast<int>(lines.size());
  const auto take = [&left](int wanted) {
    const int taken = std::clamp(wanted, 0, std::max(left, 0));
    left -= taken;
    return taken;
  };
  const int activity_rows = take(1);  // Also when empty, so that the page does not jump.
  const int number_rows = take(static_cast<int>(numbers.size()));
  const int workers_wanted =
      state.latest ? 1 + static_cast<int>(std::min<size_t>(state.latest->workers.size(), 1000)) : 0;
  const int notes_wanted = static_cast<int>(state.notes.size());
  const bool has_curve = !chosen_curve(state).values.empty();
  int worker_rows = take(std::min(workers_wanted, 3));
  int note_rows = take(std::min(notes_wanted, 2));
  int curve_rows = has_curve && left >= kCurveRowsMin ? take(kCurveRowsMin) : 0;
  const int trace_wanted = trace_lines(state, size.columns);
  int trace_rows = trace_wanted > 0 && left >= 2 ? take(2) : 0;
  if (curve_rows > 0) curve_rows += take(std::min(left / 3, kCurveRowsMax - curve_rows));
  worker_rows += take(std::min(left / 2, workers_wanted - worker_rows));
  if (trace_rows > 0) trace_rows += take(std::min(left / 2, trace_wanted - trace_rows));
  note_rows += take(notes_wanted - note_rows);
  worker_rows += take(workers_wanted - worker_rows);
  if (curve_rows > 0) curve_rows += take(kCurveRowsMax - curve_rows);

  if (activity_rows > 0) lines.push_back({activity_line(state), Tone::kFaint});
  add_curve(state, size.columns, curve_rows, lines);
  for (int i = 0; i < number_rows; ++i) lines.push_back({std::move(numbers[i])});
  add_workers(state, worker_rows, lines);
  for (size_t i = state.notes.size() - static_cast<size_t>(note_rows); i < state.notes.size();
       ++i) {
    lines.push_back({"· " + state.notes[i], Tone::kFaint});
  }
  add_trace(state, size.columns, trace_rows, lines);

  if (lines.size() > static_cast<size_t>(std::max(size.rows, 0))) {
    lines.resize(static_cast<size_t>(std::max(size.rows, 0)));
  }
  for (ViewLine& line : lines) line.text = fit(line.text, size.columns);
  return lines;
}

ViewSize terminal_size(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {size.ws_col, size.ws_row};
}

bool can_redraw(std::FILE* out) {
  const char* term = std::getenv("TERM");
  const bool can_move = term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  return can_move && ::isatty(::fileno(out)) != 0;
}

bool has_colours() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == '\0';
}

void PageWriter::draw(const std::vector<ViewLine>& lines, ViewSize size) {
  std::string text = "\x1b[?25l";
  if (drawn_size_ && size != *drawn_size_) {
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
}

TerminalView::TerminalView(std::FILE* out, Options options)
    : options_(std::move(options)), writer_(out, {.has_colours = options_.has_colours}) {
  if (!options_.size) options_.size = [out] { return terminal_size(out); };
  if (!options_.event_time) options_.event_time = options_.now;
}

TerminalView::~TerminalView() {
  if (is_dirty_) redraw();
}

void TerminalView::run_started(const JobSpec& job, std::string_view weights_sha256,
                               int64_t num_parameters) {
  state_.start(job, weights_sha256, num_parameters, options_.event_time());
  redraw_if_due();
}

void TerminalView::progressed(std::string_view activity, int64_t done, int64_t total) {
  state_.progress(activity, done, total);
  redraw_if_due();
}

void TerminalView::step_committed(const StepMetrics& step) {
  state_.add(step, options_.event_time());
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
  const ViewSize size = options_.size();
  // The line below the page belongs to the cursor.
  writer_.draw(render(state_, {size.columns, size.rows - 1}, options_.event_time()), size);
  drawn_at_ = options_.now();
  is_dirty_ = false;
}

PlainView::PlainView(std::FILE* out, SecondsClock now) : out_(out), now_(std::move(now)) {
  state_.started = now_();
}

void PlainView::print(std::string_view line) {
  const std::string text =
      fmt::format("[{}] {}\n", duration(now_() - state_.started), printable(line));
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

void PlainView::run_started(const JobSpec& job, std::string_view weights_sha256,
                            int64_t num_parameters) {
  state_.start(job, weights_sha256, num_parameters, now_());
  sample_printed_at_ = now_();
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

void PlainView::sampled(const RunSample& sample) {
  state_.sample(sample);
  if (now_() - sample_printed_at_ < kPlainSampleSeconds) return;
  sample_printed_at_ = now_();
  const auto ready = std::count_if(sample.workers.begin(), sample.workers.end(),
                                   [](const WorkerStatus& worker) { return worker.is_ready; });
  print(fmt::format("workers {} of {} ready   busy {}   {}   verdicts/s {}   cost {:.4f}", ready,
                    sample.workers.size(), busy_text(sample), queue_text(sample),
                    count(sample.verdicts_per_second), sample.ledger.money));
}

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

std::unique_ptr<actors::MetricsSink> make_view(std::FILE* out, SecondsClock event_time) {
  if (!can_redraw(out)) {
    return std::make_unique<PlainView>(out, event_time ? std::move(event_time) : monotonic_seconds);
  }
  return std::make_unique<TerminalView>(
      out,
      TerminalView::Options{.has_colours = has_colours(), .event_time = std::move(event_time)});
}

}  // namespace troupe::cluster
