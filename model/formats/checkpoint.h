// A policy in a folder: config.json and model.safetensors, or its shards and their index, as
// transformers reads them, and tokenizer_config.json with what else a prompt needs.
#pragma once

#include <string>
#include <vector>

#include "model/transformer/parameter_layout.h"
#include "schemas/result.h"

namespace troupe::model {

struct Checkpoint {
  TransformerConfig config{};
  std::vector<float> values{};  // By ParameterLayout(config).
  std::string tokenizer = "bytes";
  std::string prompt_template = "plain";
};

// kInvalidArgument, in one line, when the folder or a file in it is missing, damaged, or does not
// hold exactly the parameters of its configuration. Beside them published files may hold what no
// forward pass here uses: the head of a model that is tied, tables of angles, and layers that
// predict further tokens (DeepSeek-V3).
Result<Checkpoint> load_checkpoint(const std::string& folder);

// Publishes: bf16 for all but float32 tensors, which values that were rounded keep exactly. Written
// beside the folder and renamed into place, so that a folder of this name is always whole.
Status save_checkpoint(const std::string& folder, const Checkpoint& checkpoint);

// Only the published tensors, as one file for other processes of this host to map. Whole or not
// there, but not synced: it is worth nothing after a crash. Reading gives the values by layout.
Status write_policy_file(const std::string& path, const TransformerConfig& config,
                         const std::vector<float>& values);
Result<std::vector<float>> read_policy_file(const std::string& path,
                                            const TransformerConfig& config);

// The identity of the published weights, see weights_hash.h.
std::string checkpoint_sha256(const TransformerConfig& config, const std::vector<float>& values);

}  // namespace troupe::model
