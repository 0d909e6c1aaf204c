// What was measured of one policy on this machine, as the numbers of a device's table.
//
// A decode step of b responses that see c tokens each takes
//   overhead + b * token + b * c * position,
// one forward over a whole prompt and one optimizer step take so much a token. These few numbers
// hold for the policy that was measured and for none of another width: the formulas of the cost
// model are made to give them for that one, which is what a table for its jobs has to do.
#pragma once

#include <string>
#include <vector>

#include "cluster/planner/policy_counts.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Of one thread while all others do the same, so what neighbours take is in the numbers.
struct MeasuredStep {
  double responses = 0;
  double context = 0;
  double seconds = 0;
};
struct MeasuredMachine {
  std::vector<MeasuredStep> decode{};
  // Sequences of a length, and what a token of them takes one thread.
  double prefill_length = 0, prefill_seconds = 0;
  double learn_length = 0, learn_seconds = 0;
  double storage_gbps = 0;  // A file that is written and is on the disk.
  double load_gbps = 0;     // And read again.
  double memory_gb = 0;     // Of a thread's share.
};

// Never negative: the cheapest explanation of the steps, in relative error.
struct DecodeFit {
  double overhead = 0;  // Seconds a step,
  double token = 0;     // a response and step,
  double position = 0;  // and a token of its context.

  double seconds(double responses, double context) const {
    return overhead + responses * (token + context * position);
  }
};
// At least three steps, which differ in responses and contexts.
DecodeFit fit_decode(const std::vector<MeasuredStep>& steps);

// [device.cpu] and [network.NAME] as TOML, to be put over the program's tables with --tables.
std::string calibrated_tables(const PolicyCounts& policy, const MeasuredMachine& measured,
                              const std::string& what, const std::string& network);

}  // namespace troupe::cluster
