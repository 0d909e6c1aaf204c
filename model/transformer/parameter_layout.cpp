#include "model/transformer/parameter_layout.h"

#include <algorithm>
#include <tuple>

#include "kernels/backend.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

// Experts of a layer must follow one another in numeric order, so that grouped operations reach
// them by a stride; names sort "10" before "2".
int64_t expert_number(const std::string& name) {
  const auto at = name.find(".experts.");
  return at == std::string::npos ? -1 : std::stoll(name.substr(at + 9));
}

}  // namespace

ParameterLayout::ParameterLayout(const TransformerConfig& config) {
  for (auto& shape : parameters(config)) by_name_.push_back({std::move(shape), 0});
  std::vector<size_t> order(by_name_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [this](size_t i) {
    const std::string& name = by_name_[i].shape.name;
    const int64_t expert = expert_number(name);
    const auto prefix = expert < 0 ? name : name.substr(0, name.find(".experts."));
    return std::make_tuple(prefix, expert, name);
  };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  for (size_t i : order) {
    by_name_[i].offset = num_floats_;
    num_floats_ += kernels::padded(by_name_[i].shape.size(), 16);
    num_parameters_ += by_name_[i].shape.size();
  }
  for (size_t i = 0; i < by_name_.size(); ++i) index_[by_name_[i].shape.name] = i;
}

int64_t ParameterLayout::offset(const std::string& name) const {
  const auto found = index_.find(name);
  TROUPE_CHECK(found != index_.end());
  return by_name_[found->second].offset;
}

}  // namespace troupe::model
