// The plan against a second, plain telling of the cold start: nested loops over parts and steps.
#include "actors/controller/sft_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace troupe::actors {
namespace {

using Parts = std::vector<std::vector<DemonstrationTokens>>;

// What happens in order: a step with what it learns, or a gate.
struct Event {
  int64_t step = 0;
  bool is_gate = false;
  std::vector<std::vector<int32_t>> learned{};
  bool operator==(const Event&) const = default;
};

using Gate = std::function<double(int64_t step)>;

std::vector<Event> told_plainly(const JobSpec& job, const Parts& parts, const Gate& measure) {
  std::vector<Event> events;
  std::vector<int64_t> ends;
  double share = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    share += job.sft.part_shares.empty() ? 1.0 / static_cast<double>(parts.size())
                                         : job.sft.part_shares[part];
    ends.push_back(std::llround(std::min(share, 1.0) * static_cast<double>(job.sft.steps)));
  }
  int64_t step = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    const bool is_last = part + 1 == parts.size();
    const int64_t end = is_last ? job.sft.steps : ends[part];
    const int64_t limit = is_last ? end : end + (ends[part + 1] - end) / 2;
    model::DrawOrder order({.seed = job.seed,
                            .deck = model::DrawOrder::kColdStartDeck + static_cast<uint32_t>(part),
                            .count = static_cast<int64_t>(parts[part].size()),
                            .shuffle = job.data.shuffle});
    int64_t drawn = 0;
    const auto imitate_until = [&](int64_t last) {
      while (step < last) {
        Event event{.step = ++step, .is_gate = false, .learned = {}};
        int64_t tokens = 0;
        while (true) {
          const auto& one = parts[part][static_cast<size_t>(order.at(drawn))].tokens;
          tokens += static_cast<int64_t>(one.size());
          if (tokens > job.sft.batch_tokens) break;
          event.learned.push_back(one);
          ++drawn;
        }
        events.push_back(std::move(event));
      }
    };
    imitate_until(end);
    if (is_last || job.sft.gate_pass_at_1 == 0) continue;
    while (true) {
      events.push_back({.step = step, .is_gate = true, .learned = {}});
      if (measure(step) >= job.sft.gate_pass_at_1) break;
      const int64_t further = std::min(step + std::max<int64_t>(1, job.sft.steps / 20), limit);
      if (further == step) break;
      imitate_until(further);
    }
  }
  return events;
}

std::vector<Event> planned(const JobSpec& job, const Parts& parts, const Gate& measure) {
  std::vector<Event> events;
  SftPlan plan(job, parts);
  while (plan.next() != SftPlan::Next::kDone) {
    if (plan.next() == SftPlan::Next::kGate) {
      events.push_back({.step = plan.steps(), .is_gate = true, .learned = {}});
      static_cast<void>(plan.pass_gate(measure(plan.steps())));
      continue;
    }
    const LearnStep step = plan.take_step();
    CHECK(step.begins_stage == (number(step.version) == 1));
    Event event{
        .step = static_cast<int64_t>(number(step.version)), .is_gate = false, .learned = {}};
    for (const auto& one : step.demonstrations) event.learned.push_back(one.tokens);
    events.push_back(std::move(event));
  }
  return events;
}

TEST_CASE("sft plan: parts, shares, gates and draws are those of the plain loops") {
  Parts parts(3);
  for (size_t part = 0; part < 3; ++part) {
    for (int32_t i = 0; i < 7; ++i) {
      const std::vector<int32_t> tokens(static_cast<size_t>(2 + i),
                                        10 * static_cast<int32_t>(part));
      parts[part].push_back(
          {.tokens = tokens, .loss_mask = std::vector<uint8_t>(tokens.size(), 1)});
      parts[part].back().tokens[0] = i;
    }
  }
  const std::vector<Gate> gates = {[](int64_t) { return 1.0; }, [](int64_t) { return 0.0; },
                                   [](int64_t step) { return step % 3 == 0 ? 1.0 : 0.0; },
                                   [](int64_t step) { return static_cast<double>(step) / 40; }};
  for (size_t num_parts : {1, 2, 3}) {
    for (int64_t steps : {1, 5, 40}) {
      for (double gate : {0.0, 0.5}) {
        for (const auto& shares : {std::vector<double>{}, {0.5, 0.25, 0.25}, {0.0, 0.5, 0.5}}) {
          for (const Gate& measure : gates) {
            JobSpec job;
            job.data.cold_start.assign(num_parts, "part.jsonl");
            job.sft.steps = steps;
            job.sft.batch_tokens = 20;
            job.sft.gate_pass_at_1 = gate;
            if (!shares.empty())
              job.sft.part_shares.assign(shares.begin(),
                                         shares.begin() + static_cast<int64_t>(num_parts));
            const Parts some(parts.begin(), parts.begin() + static_cast<int64_t>(num_parts));
            CAPTURE(num_parts);
            CAPTURE(steps);
            CAPTURE(gate);
            CHECK(planned(job, some, measure) == told_plainly(job, some, measure));
          }
        }
      }
    }
  }
}

TEST_CASE("sft plan: a gate that is not passed is said") {
  const Parts parts(2, {{.tokens = {1}, .loss_mask = {1}}});
  JobSpec job;
  job.data.cold_start = {"facts.jsonl", "form.jsonl"};
  job.sft.steps = 8;
  job.sft.gate_pass_at_1 = 0.5;
  SftPlan plan(job, parts);
  for (int i = 0; i < 4; ++i) static_cast<void>(plan.take_step());
  const auto note = plan.pass_gate(0.25);
  REQUIRE(note);
  CHECK(*note == "facts.jsonl ended at pass@1 0.250, the gate is 0.500: 1 steps more");
  static_cast<void>(plan.take_step());
  CHECK_FALSE(plan.pass_gate(0.5));
}

}  // namespace
}  // namespace troupe::actors
