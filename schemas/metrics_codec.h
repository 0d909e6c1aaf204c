// What a run reports <-> bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/metrics.h"
#include "schemas/result.h"

namespace troupe {

// Numbers may be anything, also not finite: what was measured is reported. An activity longer than
// kTextBytesMax (bounds.h) is cut; every other text and list must be within its bound.
std::vector<std::byte> encode(const StepMetrics& metrics);
std::vector<std::byte> encode(const EvalMetrics& metrics);
std::vector<std::byte> encode(const Trace& trace);
std::vector<std::byte> encode(const Ledger& ledger);
std::vector<std::byte> encode(const WorkerStatus& status);
std::vector<std::byte> encode(const RunSample& sample);

// kCorruption unless `bytes` is one whole message of its kind. The bytes may come from
// any peer, so no input may crash, over-read or make this allocate much more than its size.
Result<StepMetrics> decode_step_metrics(std::span<const std::byte> bytes);
Result<EvalMetrics> decode_eval_metrics(std::span<const std::byte> bytes);
Result<Trace> decode_trace(std::span<const std::byte> bytes);
Result<Ledger> decode_ledger(std::span<const std::byte> bytes);
Result<WorkerStatus> decode_worker_status(std::span<const std::byte> bytes);
Result<RunSample> decode_run_sample(std::span<const std::byte> bytes);

}  // namespace troupe
