// A policy in a folder: config.json and model.safetensors, or its shards and their index, as
// transformers reads them, and the files of policy_text.h. Or in one GGUF file.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/formats/policy_text.h"
#include "model/parallel/shard_map.h"
#include "model/transformer/parameter_layout.h"
#include "schemas/hash.h"
#include "schemas/result.h"

namespace troupe::model {

struct Checkpoint {
  TransformerConfig config{};
  std::vector<float> values{};  // By ParameterLayout(config).
  PolicyText text{};
};

// kInvalidArgument, in one line, when the folder or a file in it is missing, damaged, or does not
// hold exactly the parameters of its configuration, all of them finite. Beside them published files
// may hold what no forward pass here uses: the head of a model that is tied, if it has the values
// of the embeddings, tables of angles, and layers that predict further tokens (DeepSeek-V3).
// Weights in a form that is not read are told of with the command that converts them.
Result<Checkpoint> load_checkpoint(const std::string& path);

// Only its configuration.
Result<TransformerConfig> load_policy_config(const std::string& path);

// Publishes: bf16 for all but float32 tensors, which values that were rounded keep exactly, or
// float32 for all. Written beside the folder and renamed into place, so that a folder of this name
// is always whole. transformers loads it.
enum class Stored : uint8_t { kBf16, kFloat32 };
Status save_checkpoint(const std::string& folder, const Checkpoint& checkpoint,
                       Stored stored = Stored::kBf16);

// The files that save_checkpoint would put into a folder, synced one by one, into one that exists.
// Their names come back.
Result<std::vector<std::string>> write_checkpoint_files(const std::string& folder,
                                                        const Checkpoint& checkpoint,
                                                        Stored stored = Stored::kBf16);

// How many values bf16 does not hold exactly.
int64_t count_rounded(const Checkpoint& checkpoint);

// Only the published tensors, as one file for other processes of this host to map. Whole or not
// there, but not synced: it is worth nothing after a crash. Reading gives the values by layout.
Status write_policy_file(const std::string& path, const TransformerConfig& config,
                         const std::vector<float>& values);
Result<std::vector<float>> read_policy_file(const std::string& path,
                                            const TransformerConfig& config);

// The identity of the published weights, see weights_hash.h.
std::string checkpoint_sha256(const TransformerConfig& config, const std::vector<float>& values);

// The same from parts: each rank of a team has the digests of the published values of its own
// chunks. `values` are the layout's floats from `begin` on, as many as those chunks take: all, or a
// shard. Rounding what is rounded changes nothing, so masters and published values are alike.
std::vector<Sha256Digest> published_digests(const ParameterLayout& layout,
                                            std::span<const Chunk> chunks,
                                            std::span<const float> values, int64_t begin = 0);
// `digests` are those of ShardMap::chunks(), in that order.
std::string checkpoint_sha256(const ParameterLayout& layout, std::span<const Sha256Digest> digests);

}  // namespace troupe::model
