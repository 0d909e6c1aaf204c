#include "cluster/planner/plan_text.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kGb = 1e9;
constexpr size_t kLayoutsShown = 4;

// As many digits as are worth something.
double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10, 4 - std::ceil(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

std::string money(double value) {
  if (value >= 1e6) return fmt::format("${:.2f}M", value / 1e6);
  if (value >= 1e4) return fmt::format("${:.0f}K", value / 1e3);
  return value >= 10 ? fmt::format("${:.0f}", value) : fmt::format("${:.4f}", value);
}

std::string hours_text(double hours) {
  if (hours >= 10) return fmt::format("{:.0f} h", hours);
  if (hours >= 1) return fmt::format("{:.1f} h", hours);
  return hours * 60 >= 1 ? fmt::format("{:.1f} min", hours * 60)
                         : fmt::format("{:.1f} s", hours * 3600);
}

std::string schedule_text(const PlanSchedule& schedule) {
  if (schedule.lag == 0) return "sync";
  return fmt::format("up to {} rounds ahead{}", schedule.lag,
                     schedule.stragglers == Stragglers::kMoved ? ", stragglers moved" : "");
}

std::string layout_text(const PlanLayout& layout) {
  std::string text =
      fmt::format("{} workers of {} devices generate, {} devices learn{}", layout.workers(),
                  layout.width, layout.learner.devices, layout.is_split ? "" : " (the same ones)");
  if (layout.learner.experts > 1 || layout.learner.context > 1) {
    text += fmt::format(", experts over {}, sequences over {}", layout.learner.experts,
                        layout.learner.context);
  }
  return text;
}

std::string memory_text(const char* role, const MemoryPlan& plan) {
  std::string text = fmt::format("  {:<11}", role);
  for (const MemoryPart& part : plan.parts) {
    text += fmt::format("{} {:.1f}   ", part.name, part.bytes / kGb);
  }
  return text + (plan.short_by() > 0 ? fmt::format("short by {:.1f}\n", plan.short_by() / kGb)
                                     : fmt::format("together {:.1f}\n", plan.used() / kGb));
}

Json memory_json(const MemoryPlan& plan) {
  Json json;
  for (const MemoryPart& part : plan.parts) json[part.name] = rounded(part.bytes / kGb);
  json["total"] = rounded(plan.used() / kGb);
  json["usable"] = rounded(plan.usable / kGb);
  json["short_by"] = rounded(plan.short_by() / kGb);
  return json;
}

Json layout_json(const PlanLayout& layout) {
  Json json = {{"placement", layout.is_split ? "split" : "colocated"},
               {"generating_workers", layout.workers()},
               {"devices_per_worker", layout.width},
               {"learning_devices", layout.learner.devices},
               {"learner_experts_over", layout.learner.experts},
               {"learner_sequences_over", layout.learner.context},
               {"fits", layout.fits()}};
  json["hours"] = layout.fits() ? Json(rounded(layout.hours)) : Json(nullptr);
  json["short_by_gb"] = rounded(layout.short_by() / kGb);
  return json;
}

}  // namespace

std::string to_page(const PlanSubject& subject, const Plan& plan) {
  const PlannedCluster& cluster = subject.cluster;
  const PolicyCounts& policy = plan.policy;
  const PlanLayout& best = plan.layouts.front();
  std::string page = fmt::format(
      "policy      {} parameters, {} active; cache {} a token; engine {}, {}\n"
      "cluster     {} hosts x {} {}, {} an hour; {}\n",
      count(policy.parameters), count(policy.active),
      byte_count(static_cast<uint64_t>(policy.cache_values *
                                       (subject.engine.precision == "fp32" ? 4 : 2))),
      subject.engine_name, subject.engine.precision, cluster.nodes, cluster.devices_per_node,
      cluster.device_name, money(subject.price_per_hour() * double(cluster.devices())),
      layout_text(best));
  page += fmt::format("memory of a device, GB ({:.1f} of {:.1f} usable)\n",
                      cluster.device.usable_gb, cluster.device.memory_gb);
  page += memory_text("generating", best.generating) + memory_text("learning", best.learning);
  if (!plan.fits()) {
    page += fmt::format(
        "does not fit: {:.1f} GB short on each device, in the layout that lacks "
        "least\n",
        best.short_by() / kGb);
    for (const std::string& note : plan.notes) page += "note        " + note + "\n";
    return page;
  }
  if (plan.cache_peak > 0) {
    page +=
        fmt::format("  cache for {} tokens a device, of which a round needs {}{}\n",
                    count(plan.cache_tokens), count(plan.cache_peak),
                    plan.cache_peak > plan.cache_tokens ? ": it generates in several goes" : "");
  }
  if (!plan.rounds.empty()) {
    page += fmt::format("{:<40}{:>8}{:>8}{:>10}{:>9}{:>10}{:>8}{:>7}{:>9}\n",
                        "seconds of a round, " + schedule_text(plan.schedule), "step", "mean",
                        "generate", "<10 %", "reference", "learn", "rest", "together");
    for (const PlannedRound& one : plan.rounds) {
      const RoundSeconds& s = one.seconds;
      page += fmt::format(
          "{:<40}{:>8.0f}{:>8.0f}{:>10.4g}{:>7.0f} %{:>10.3g}{:>8.4g}{:>7.3g}"
          "{:>9.4g}\n",
          "", one.step, one.mean_tokens, s.generate, s.generate > 0 ? 100 * s.tail / s.generate : 0,
          s.reference, s.learn, s.verdict + s.point + s.change, s.total);
    }
  }
  page += fmt::format("job         {:.0f} rounds, {} tokens: {} (90 %: {} to {}), {} ({} to {})\n",
                      plan.at_medians.rounds, count(plan.at_medians.tokens),
                      hours_text(plan.hours.median), hours_text(plan.hours.low),
                      hours_text(plan.hours.high), money(plan.cost.median), money(plan.cost.low),
                      money(plan.cost.high));
  const PlanHours& h = plan.at_medians;
  page += fmt::format(
      "  at medians, hours: generating {:.4g} (of that, with less than a tenth "
      "under way, {:.4g}), reference {:.3g}, learning {:.4g}, changes of roles and "
      "versions {:.3g}, verdicts {:.3g}, recovery points {:.3g}, failures {:.3g}, "
      "imitation {:.3g}, evaluation {:.3g}\n",
      h.generate, h.tail, h.reference, h.learn, h.change, h.verdict, h.point, h.failures, h.sft,
      h.evaluation);
  page += fmt::format("bound by    {}\n", plan.bound);
  for (size_t i = 1; i < std::min(kLayoutsShown, plan.layouts.size()); ++i) {
    const PlanLayout& one = plan.layouts[i];
    if (one.fits()) {
      page += fmt::format("layout      {}: {}\n", hours_text(one.hours), layout_text(one));
    } else {
      page += fmt::format("layout      short by {:.1f} GB: {}\n", one.short_by() / kGb,
                          layout_text(one));
    }
  }
  for (const PlanChange& one : plan.changes) {
    page +=
        fmt::format("change      {}, {}: {}\n", hours_text(one.hours), money(one.cost), one.what);
  }
  page += "range from ";
  for (const auto& [name, share] : plan.range_from) {
    page += fmt::format(" {} {:.0f} %", name, 100 * share);
  }
  page += " (squared rank correlation)\n";
  for (const std::string& note : plan.notes) page += "note        " + note + "\n";
  return page;
}

Json to_json(const PlanSubject& subject, const Plan& plan) {
  const PlanLayout& best = plan.layouts.front();
  Json json = {
      {"fits", plan.fits()},
      {"gb_per_device",
       {{"learning", memory_json(best.learning)}, {"generating", memory_json(best.generating)}}},
      {"short_by_gb", rounded(best.short_by() / kGb)}};
  if (plan.fits()) {
    const PlanHours& h = plan.at_medians;
    json["seconds_per_round"] = rounded(h.seconds_per_round);
    json["hours"] = rounded(plan.hours.median);
    json["hours_range"] = {rounded(plan.hours.low), rounded(plan.hours.high)};
    json["cost"] = rounded(plan.cost.median);
    json["cost_range"] = {rounded(plan.cost.low), rounded(plan.cost.high)};
    json["rounds"] = rounded(h.rounds);
    json["tokens"] = rounded(h.tokens);
    json["bound_by"] = plan.bound;
    json["hours_at_medians"] = {{"generating", rounded(h.generate)},
                                {"generating_tail", rounded(h.tail)},
                                {"reference", rounded(h.reference)},
                                {"learning", rounded(h.learn)},
                                {"changes", rounded(h.change)},
                                {"verdicts", rounded(h.verdict)},
                                {"recovery_points", rounded(h.point)},
                                {"failures", rounded(h.failures)},
                                {"imitation", rounded(h.sft)},
                                {"evaluation", rounded(h.evaluation)},
                                {"total", rounded(h.total)}};
    json["seconds_by_step"] = Json::array();
    for (const PlannedRound& one : plan.rounds) {
      const RoundSeconds& s = one.seconds;
      json["seconds_by_step"].push_back({{"step", one.step},
                                         {"mean_tokens", rounded(one.mean_tokens)},
                                         {"longest_tokens", rounded(one.longest)},
                                         {"generate", rounded(s.generate)},
                                         {"tail", rounded(s.tail)},
                                         {"reference", rounded(s.reference)},
                                         {"learn", rounded(s.learn)},
                                         {"verdict", rounded(s.verdict)},
                                         {"recovery_point", rounded(s.point)},
                                         {"change", rounded(s.change)},
                                         {"total", rounded(s.total)},
                                         {"staleness_steps_max", one.staleness},
                                         {"bound_by", s.bound}});
    }
    json["cache_tokens"] = {{"room", rounded(plan.cache_tokens)},
                            {"peak", rounded(plan.cache_peak)}};
  } else {
    for (const char* key : {"seconds_per_round", "hours", "hours_range", "cost", "cost_range"}) {
      json[key] = nullptr;
    }
  }
  json["cluster"] = {{"hosts", subject.cluster.nodes},
                     {"devices_per_host", subject.cluster.devices_per_node},
                     {"device", subject.cluster.device_name},
                     {"price_per_device_hour", subject.price_per_hour()}};
  json["policy"] = {{"parameters", plan.policy.parameters},
                    {"active", plan.policy.active},
                    {"engine", subject.engine_name},
                    {"precision", subject.engine.precision}};
  json["layouts"] = Json::array();
  for (const PlanLayout& one : plan.layouts) json["layouts"].push_back(layout_json(one));
  json["changes"] = Json::array();
  for (const PlanChange& one : plan.changes) {
    json["changes"].push_back(
        {{"what", one.what}, {"hours", rounded(one.hours)}, {"cost", rounded(one.cost)}});
  }
  json["range_from"] = Json::object();
  for (const auto& [name, share] : plan.range_from) json["range_from"][name] = rounded(share);
  json["notes"] = plan.notes;
  return json;
}

}  // namespace troupe::cluster
