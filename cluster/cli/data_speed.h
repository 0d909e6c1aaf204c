// How fast text becomes tokens and checkpoints become files here.
#pragma once

#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Words of invented syllables, and a byte pair vocabulary of 8192 tokens that has most of them.
struct TokenizerText {
  std::string text{};
  model::Tokenizer tokenizer{};
};
TokenizerText tokenizer_text();

// A recovery point of `bench-moe`, written (synced) to the folder for temporary files and read
// back, in bytes per second.
struct CheckpointSpeed {
  double bytes = 0;
  std::vector<double> written{};  // One entry per run.
  std::vector<double> read{};
};
Result<CheckpointSpeed> measure_checkpoint();

}  // namespace troupe::cluster
