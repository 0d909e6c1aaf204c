#include "cluster/dashboard/prometheus_text.h"

#include <fmt/format.h>

#include <cmath>

namespace troupe::cluster {
namespace {

using Kind = PrometheusText::Kind;
using Labels = PrometheusText::Labels;

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

void PrometheusText::add(const std::string& name, Kind kind, std::string_view help,
                         const Labels& labels, double value) {
  Family& family = families_[name];
  family.kind = kind;
  family.help = help;
  std::string text;
  for (const auto& [label, of_label] : labels) {
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", label, escaped(of_label));
  }
  family.lines.push_back(text.empty()
                             ? fmt::format("{} {}\n", name, number_text(value))
                             : fmt::format("{}{{{}}} {}\n", name, text, number_text(value)));
}

std::string PrometheusText::text() const {
  std::string out;
  for (const auto& [name, family] : families_) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                       family.kind == Kind::kGauge ? "gauge" : "counter");
    for (const std::string& line : family.lines) out += line;
  }
  return out;
}

void add_hosts(PrometheusText& out, const std::vector<HostSummary>& hosts) {
  for (const HostSummary& host : hosts) {
    const Labels labels = {{"host", host.name}};
    out.add("troupe_host_up", Kind::kGauge, "1 while the host is heard of and takes work.", labels,
            host.state == "up" ? 1 : 0);
    out.add("troupe_host_slots", Kind::kGauge, "Workers with a device that the host takes.", labels,
            host.slots);
    out.add("troupe_host_slots_used", Kind::kGauge, "Slots that jobs require.", labels, host.used);
    out.add("troupe_host_disk_free_bytes", Kind::kGauge, "Free space where its home is.", labels,
            static_cast<double>(host.disk_free_bytes));
  }
}

namespace {

Labels labels_of(const JobSummary& job) {
  return {{"job", std::to_string(job.id)}, {"name", job.name}};
}

}  // namespace

void add_job(PrometheusText& out, const JobSummary& job) {
  Labels labels = labels_of(job);
  out.add("troupe_job_steps_done", Kind::kGauge, "Optimizer steps behind the job.", labels,
          static_cast<double>(job.steps_done));
  out.add("troupe_job_steps", Kind::kGauge, "Optimizer steps that the job is to have.", labels,
          static_cast<double>(job.steps_total));
  out.add("troupe_job_money", Kind::kGauge, "Cost so far at the job's prices.", labels, job.money);
  labels.emplace_back("state", name(job.state));
  out.add("troupe_job_state", Kind::kGauge, "1 for the state that the job is in.", labels, 1);
}

void add_board(PrometheusText& out, const JobSummary& job, const RunBoard& board) {
  const Labels labels = labels_of(job);
  const auto with = [&labels](const char* label, const std::string& value) {
    Labels more = labels;
    more.emplace_back(label, value);
    return more;
  };
  const RunState& state = board.state();
  if (state.step) {
    const StepMetrics& step = *state.step;
    const std::pair<const char*, std::pair<const char*, double>> gauges[] = {
        {"troupe_loss", {"Of the newest step.", step.loss}},
        {"troupe_grad_norm", {"Before clipping.", step.grad_norm}},
        {"troupe_learning_rate", {"Of the newest step.", step.learning_rate}},
        {"troupe_reward_mean", {"Of the newest round.", step.reward_mean}},
        {"troupe_reward_std", {"Of the newest round.", step.reward_std}},
        {"troupe_response_length_mean",
         {"Tokens, of the newest round.", step.response_length_mean}},
        {"troupe_response_length_clip_ratio",
         {"Share of responses that were cut.", step.response_length_clipped}},
        {"troupe_entropy", {"Nats per response token.", step.entropy}},
        {"troupe_kl", {"Against the reference, per token.", step.kl}},
        {"troupe_clip_ratio", {"Share of tokens whose ratio was clipped.", step.clip_fraction}},
        {"troupe_staleness_steps_mean",
         {"How far the policy is from those that wrote.", step.staleness_steps_mean}},
        {"troupe_expert_load_max_violation",
         {"Largest load of an expert by the fair one, less 1.", step.expert_load_max_violation}}};
    for (const auto& [name, gauge] : gauges) {
      out.add(name, Kind::kGauge, gauge.first, labels, gauge.second);
    }
    out.add("troupe_policy_version", Kind::kGauge, "Steps behind the newest policy.", labels,
            static_cast<double>(number(step.version)));
  }
  if (state.evaluation) {
    out.add("troupe_eval_pass_at_1", Kind::kGauge, "Share of held-out problems that are solved.",
            labels, state.evaluation->pass_at_1());
  }
  if (!state.latest) return;
  const RunSample& sample = *state.latest;
  const std::pair<const char*, int64_t> queues[] = {{"waiting", sample.groups_waiting},
                                                    {"generating", sample.groups_generating},
                                                    {"judging", sample.groups_judging},
                                                    {"committing", sample.groups_committing}};
  for (const auto& [name, groups] : queues) {
    out.add("troupe_queue_groups", Kind::kGauge, "Groups by where they are.", with("queue", name),
            static_cast<double>(groups));
  }
  const std::pair<const char*, double> roles[] = {{"rollout", sample.rollout_busy_share},
                                                  {"verifier", sample.verifier_busy_share},
                                                  {"learner", sample.learner_busy_share}};
  for (const auto& [name, share] : roles) {
    out.add("troupe_busy_share", Kind::kGauge, "Of the role's workers.", with("role", name), share);
  }
  const WaitingShares waits = waiting_in(sample);
  const std::pair<const char*, double> waiting[] = {
      {"learner_for_rollout", waits.learner_for_rollout},
      {"learner_for_verifier", waits.learner_for_verifier},
      {"learner_for_store", waits.learner_for_store},
      {"rollout_for_learner", waits.rollout_for_learner},
      {"rollout_for_verifier", waits.rollout_for_verifier}};
  for (const auto& [name, share] : waiting) {
    out.add("troupe_waiting_share", Kind::kGauge, "Share of its time that who waits for whom.",
            with("who", name), share);
  }
  out.add("troupe_rollout_tokens_per_second", Kind::kGauge,
          "Of a rollout worker over the last minute.", with("worker", "mean"), board.pace().mean);
  out.add("troupe_rollout_tokens_per_second", Kind::kGauge,
          "Of a rollout worker over the last minute.", with("worker", "worst"), board.pace().worst);
  const Ledger& ledger = sample.ledger;
  const std::pair<const char*, std::pair<const char*, double>> counters[] = {
      {"troupe_tokens_generated_total",
       {"Of responses.", static_cast<double>(ledger.tokens_generated)}},
      {"troupe_tokens_learned_total",
       {"Prompts included.", static_cast<double>(ledger.tokens_learned)}},
      {"troupe_workers_lost_total",
       {"Processes that ended.", static_cast<double>(ledger.workers_lost)}},
      {"troupe_wasted_seconds_total", {"Core-seconds done again.", ledger.wasted_seconds}}};
  for (const auto& [name, counter] : counters) {
    out.add(name, Kind::kCounter, counter.first, labels, counter.second);
  }
  for (const auto& [kind, verdicts] : ledger.verdicts) {
    out.add("troupe_verdicts_total", Kind::kCounter, "By kind.", with("kind", kind),
            static_cast<double>(verdicts));
  }
}

}  // namespace troupe::cluster
