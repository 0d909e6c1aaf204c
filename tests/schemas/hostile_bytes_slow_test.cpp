// A million messages per codec, each damaged in ways that keep it close to a message: no decoder
// crashes, and none holds or takes more memory than such messages can justify. Run it under
// AddressSanitizer and UBSan too, where it does a tenth of the rounds.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <functional>
#include <random>
#include <vector>

#include "schemas/control_codec.h"
#include "schemas/envelope_codec.h"
#include "schemas/job_codec.h"
#include "schemas/metrics_codec.h"
#include "schemas/node_codec.h"
#include "schemas/records_codec.h"
#include "schemas/trajectory_codec.h"
#include "schemas/work_codec.h"
#include "tests/schemas/filled_node.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

constexpr int kMessages = 1'000'000;
constexpr long kGrowthKiBMax = 64 << 10;

// Of this process, so far.
long peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// A message and what reads it; true where it was believed.
struct Target {
  Bytes bytes;
  std::function<bool(std::span<const std::byte>)> reads;
};

template <class T>
Target target(const T& value, Result<T> (*decode)(std::span<const std::byte>)) {
  return {encode(value),
          [decode](std::span<const std::byte> bytes) { return bool(decode(bytes)); }};
}

template <class Messages>
Target target(const Messages& message, Result<Messages> (*open)(const Envelope&)) {
  const Envelope envelope = seal(message);
  return {envelope.payload, [open, schema = envelope.schema](std::span<const std::byte> bytes) {
            return bool(open({.schema = schema, .payload = {bytes.begin(), bytes.end()}}));
          }};
}

void check_survives(const std::vector<Target>& targets) {
  const long before = peak_memory_kib();
  std::mt19937 random(1);
  int believed = 0;
  for (int i = 0; i < kMessages; ++i) {
    const Target& one = targets[static_cast<size_t>(i) % targets.size()];
    Bytes bytes = one.bytes;
    mutate(bytes, targets[random() % targets.size()].bytes, random);
    believed += one.reads(bytes) ? 1 : 0;
  }
  // Both happen, or the mutations are too mild or too wild to find anything.
  CHECK(believed > kMessages / 100);
  CHECK(believed < kMessages - kMessages / 100);
#ifndef __SANITIZE_ADDRESS__  // Which keeps freed memory for a while.
  CHECK(peak_memory_kib() - before < kGrowthKiBMax);
#else
  static_cast<void>(before);
#endif
}

TEST_CASE("hostile bytes: trajectory") {
  check_survives({target(filled_trajectory(filled_group_id(), 0), decode_trajectory)});
}

TEST_CASE("hostile bytes: job") { check_survives({target(filled_job_spec(), decode_job)}); }

TEST_CASE("hostile bytes: metrics") {
  check_survives({target(filled_step_metrics(), decode_step_metrics),
                  target(filled_eval_metrics(), decode_eval_metrics),
                  target(filled_trace(), decode_trace), target(filled_ledger(), decode_ledger),
                  target(filled_worker_status(), decode_worker_status),
                  target(filled_run_sample(), decode_run_sample)});
}

TEST_CASE("hostile bytes: records") {
  check_survives({target(filled_job_record(), decode_job_record),
                  target(filled_round_record(), decode_round_record),
                  target(filled_group_record(), decode_group_record),
                  target(filled_drop_record(), decode_drop_record),
                  target(filled_segments_record(), decode_segments_record),
                  target(filled_attempt_record(), decode_attempt_record),
                  target(filled_step_record(), decode_step_record),
                  target(filled_evaluation_record(), decode_evaluation_record),
                  target(filled_point_record(), decode_point_record)});
}

TEST_CASE("hostile bytes: envelope") {
  check_survives({target(filled_envelope(), decode_envelope)});
}

TEST_CASE("hostile bytes: work") {
  std::vector<Target> targets;
  for (const ToWorker& message : filled_to_worker()) {
    targets.push_back(target(message, open_to_worker));
  }
  for (const FromWorker& message : filled_from_worker()) {
    targets.push_back(target(message, open_from_worker));
  }
  check_survives(targets);
}

TEST_CASE("hostile bytes: node") {
  std::vector<Target> targets = {target(filled_link_header(), decode_link_header)};
  for (const FromNode& message : filled_from_node()) {
    targets.push_back(target(message, decode_from_node));
  }
  for (const ToNode& message : filled_to_node()) {
    targets.push_back(target(message, decode_to_node));
  }
  check_survives(targets);
}

TEST_CASE("hostile bytes: control") {
  std::vector<Target> targets = {target(filled_control_reply(), decode_control_reply)};
  for (const ControlRequest& request : filled_control_requests()) {
    targets.push_back(target(request, decode_control_request));
  }
  for (const RunEvent& event : filled_run_events()) {
    targets.push_back(target(event, decode_run_event));
  }
  check_survives(targets);
}

}  // namespace
}  // namespace troupe
