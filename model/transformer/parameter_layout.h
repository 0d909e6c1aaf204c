// Where each parameter lies in a flat array of floats. Masters, gradients and moments all use it.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/transformer/config.h"

namespace troupe::model {

struct Parameter {
  TensorShape shape{};
  int64_t offset = 0;  // In floats, a multiple of 16.
};

class ParameterLayout {
 public:
  explicit ParameterLayout(const TransformerConfig& config);

  const std::vector<Parameter>& by_name() const { return by_name_; }  // In byte order of names.
  int64_t offset(const std::string& name) const;                      // The name must exist.
  int64_t num_floats() const { return num_floats_; }  // Of the array, gaps included.
  int64_t num_parameters() const { return num_parameters_; }

 private:
  std::vector<Parameter> by_name_;
  std::unordered_map<std::string, size_t> index_;
  int64_t num_floats_ = 0;
  int64_t num_parameters_ = 0;
};

}  // namespace troupe::model
