#include "cluster/planner/simulation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;

double idle(double busy, double all) { return all > 0 ? 1 - busy / all : 0; }

double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10, 5 - std::ceil(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

std::string hours_text(double hours) {
  return hours >= 1 ? fmt::format("{:.4g} h", hours) : fmt::format("{:.4g} s", hours * 3600);
}

double in_all(const SimulationResult& r, double value) {
  return value * static_cast<double>(r.rounds_in_all) / static_cast<double>(r.rounds);
}

}  // namespace

std::string to_page(const PlanSubject& subject, const PlanLayout& layout, const SimulatedJob& job) {
  const SimulationResult& r = job.result;
  std::string page = fmt::format(
      "simulated   {} of {} rounds, {} steps, {} events; {} workers of {} devices generate, {} "
      "devices learn{}\n",
      r.rounds, r.rounds_in_all, r.steps, count(static_cast<double>(r.events)), layout.workers(),
      layout.width, layout.learner.devices, layout.is_split ? "" : " (the same ones)");
  page += fmt::format("time        {} (90 %: {} to {}), {:.4g} s a round\n",
                      hours_text(job.hours.median), hours_text(job.hours.low),
                      hours_text(job.hours.high), r.seconds / static_cast<double>(r.rounds));
  page += fmt::format("cost        {:.4g} at {:.4g} a device and hour\n", job.cost,
                      subject.price_per_hour());
  page += fmt::format("idle        rollout {:.1f} %, learner {:.1f} %, devices {:.1f} %\n",
                      100 * idle(r.generating_busy, r.generating_all),
                      100 * idle(r.learning_busy, r.learning_all),
                      100 * idle(r.devices_busy, r.devices_all));
  page +=
      fmt::format("tokens      {} generated, {} a second; {} again\n", count(in_all(r, r.tokens)),
                  count(r.tokens / r.seconds), count(in_all(r, r.tokens_again)));
  page += fmt::format(
      "learner     hours: learning {:.4g}, reference {:.3g}, changes of roles and "
      "versions {:.3g}, recovery points {:.3g}\n",
      in_all(r, r.learn_seconds) / 3600, in_all(r, r.reference_seconds) / 3600,
      in_all(r, r.change_seconds) / 3600, in_all(r, r.point_seconds) / 3600);
  page += fmt::format("staleness   {:.1f} steps on average, {} at most\n", r.staleness_mean,
                      r.staleness_max);
  page += fmt::format("failures    {}, {} steps learned again\n", r.failures, r.steps_redone);
  page += fmt::format(
      "not simulated: {:.3g} h of imitation, evaluation and expected failures are "
      "in the time\n",
      r.other_hours);
  return page;
}

Json to_json(const PlanSubject& subject, const PlanLayout& layout, const SimulatedJob& job) {
  const SimulationResult& r = job.result;
  return {{"hours", rounded(job.hours.median)},
          {"hours_range", {rounded(job.hours.low), rounded(job.hours.high)}},
          {"cost", rounded(job.cost)},
          {"idle",
           {{"rollout", rounded(idle(r.generating_busy, r.generating_all))},
            {"learner", rounded(idle(r.learning_busy, r.learning_all))},
            {"devices", rounded(idle(r.devices_busy, r.devices_all))}}},
          {"tokens", std::round(in_all(r, r.tokens))},
          {"tokens_again", std::round(in_all(r, r.tokens_again))},
          {"tokens_per_second", rounded(r.tokens / r.seconds)},
          {"seconds_per_round", rounded(r.seconds / static_cast<double>(r.rounds))},
          {"rounds", r.rounds_in_all},
          {"rounds_simulated", r.rounds},
          {"steps_simulated", r.steps},
          {"staleness_steps", {{"mean", rounded(r.staleness_mean)}, {"max", r.staleness_max}}},
          {"learner_hours",
           {{"learning", rounded(in_all(r, r.learn_seconds) / 3600)},
            {"reference", rounded(in_all(r, r.reference_seconds) / 3600)},
            {"changes", rounded(in_all(r, r.change_seconds) / 3600)},
            {"recovery_points", rounded(in_all(r, r.point_seconds) / 3600)}}},
          {"other_hours", rounded(r.other_hours)},
          {"failures", r.failures},
          {"steps_redone", r.steps_redone},
          {"device_hours",
           {{"busy", rounded(r.devices_busy / 3600)}, {"all", rounded(r.devices_all / 3600)}}},
          {"layout",
           {{"workers", layout.workers()},
            {"devices_per_worker", layout.width},
            {"learning_devices", layout.learner.devices},
            {"placement", layout.is_split ? "split" : "colocated"}}},
          {"cluster",
           {{"hosts", subject.cluster.nodes},
            {"devices_per_host", subject.cluster.devices_per_node},
            {"device", subject.cluster.device_name}}},
          {"token_scale", r.token_scale},
          {"events", r.events}};
}

// A row for each worker and the learner's below: a colour is a round, and the fewer of a worker's
// responses are still under way, the paler it is.
std::string to_svg(const SimulationResult& result) {
  constexpr double kWidth = 1200, kRow = 14, kLeft = 80;
  constexpr size_t kRounds = 8;
  const auto& ends = result.round_ends;
  const size_t last = ends.size(), first = last > kRounds ? (last - kRounds) / 2 : 0;
  const double from = first > 0 ? ends[first - 1] : 0;
  const double to = last > 0 ? ends[std::min(last, first + kRounds) - 1] : 1;
  uint32_t slots = 1;
  for (const PlayedSpan& one : result.spans) slots = std::max(slots, one.slot + 1);
  const double height = kRow * (slots + 3);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"10\">\n",
      kWidth + kLeft, height);
  const double scale = kWidth / std::max(1e-9, to - from);
  for (const PlayedSpan& one : result.spans) {
    if (one.end < from || one.begin > to) continue;
    const double begin = std::max(one.begin, from), end = std::min(one.end, to);
    const double row = one.is_learner ? slots + 1 : one.slot;
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\" "
        "fill=\"hsl({},60%,{:.0f}%)\">"
        "<title>round {}, {:.0f} s, {:.0f} % under way</title></rect>\n",
        kLeft + (begin - from) * scale, row * kRow, std::max(0.3, (end - begin) * scale), kRow - 2,
        one.round * 67 % 360, one.is_learner ? 40 : 90 - 45 * one.share, one.round,
        one.end - one.begin, 100 * one.share);
  }
  for (uint32_t slot = 0; slot < slots; ++slot) {
    svg += fmt::format("<text x=\"2\" y=\"{:.0f}\">worker {}</text>\n", slot * kRow + 10, slot);
  }
  svg += fmt::format("<text x=\"2\" y=\"{:.0f}\">learner</text>\n", (slots + 1) * kRow + 10);
  svg += fmt::format(
      "<text x=\"{:.0f}\" y=\"{:.0f}\">{:.0f} s to {:.0f} s of the simulated run"
      "</text>\n</svg>\n",
      kLeft, (slots + 2) * kRow + 12, from, to);
  return svg;
}

std::string to_chrome_trace(const SimulationResult& result) {
  std::string text = "{\"traceEvents\":[";
  bool is_first = true;
  for (const PlayedSpan& one : result.spans) {
    text += fmt::format(
        "{}\n{{\"name\":\"{} {}\",\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{:.0f},\"dur\":{:.0f},"
        "\"args\":{{\"under way, %\":{:.0f}}}}}",
        is_first ? "" : ",", one.is_learner ? "learn round" : "generate round", one.round,
        one.is_learner ? 1'000'000 : one.slot, one.begin * 1e6, (one.end - one.begin) * 1e6,
        100 * one.share);
    is_first = false;
  }
  return text + "\n]}\n";
}

}  // namespace troupe::cluster
