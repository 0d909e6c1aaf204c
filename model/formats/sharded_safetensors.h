// The tensors of a checkpoint, in one safetensors file or in many with an index.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/formats/safetensors.h"
#include "schemas/result.h"

namespace troupe::model {

inline constexpr size_t kShardsMax = 4096;

class ShardedSafetensors {
 public:
  // `folder`/model.safetensors, and where that is not there, the shards that
  // `folder`/model.safetensors.index.json names: the order in which transformers looks. The index
  // and the shards must agree on every tensor. All failures are one line and name the file:
  // kInvalidArgument for a file that is not there or has not the tensors that the index says,
  // kCorruption for one that is damaged.
  static Result<ShardedSafetensors> open(const std::string& folder);

  // One file alone.
  static Result<ShardedSafetensors> open_file(const std::string& path);

  const std::vector<TensorView>& tensors() const { return tensors_; }  // In byte order of names.
  const TensorView* find(std::string_view name) const;
  const std::string& path() const { return path_; }  // Of the file or the index, for messages.

 private:
  std::string path_{};
  std::vector<SafetensorsFile> files_{};
  std::vector<TensorView> tensors_{};
};

}  // namespace troupe::model
