// The keys of a job file: where each one goes, what it may be, and what people read about it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/job.h"

namespace troupe::cluster {

struct Betas {
  double& beta1;
  double& beta2;
};

// The member that a key fills; its type is the key's type.
using Slot = std::variant<bool& (*)(JobSpec&), int64_t& (*)(JobSpec&), uint64_t& (*)(JobSpec&),
                          double& (*)(JobSpec&), std::string& (*)(JobSpec&),
                          std::optional<double>& (*)(JobSpec&), std::vector<double>& (*)(JobSpec&),
                          std::vector<std::string>& (*)(JobSpec&), Betas (*)(JobSpec&)>;

struct Range {
  double low = 0;
  double high = 0;
  bool is_open_below = false;  // `low` itself is not allowed.
};

struct Key {
  std::string_view path{};  // "table.key", or "key" at the top.
  Slot slot{};
  Range range{};                            // Of numbers and of each number in a list.
  std::vector<std::string_view> allowed{};  // Of strings; empty: any.
  bool is_path = false;
  bool is_in_hash = true;  // Decides the history of the job.
  std::string_view comment{};

  std::string_view table() const;
  std::string_view name() const;
};

// All keys but [rewards], whose names the user chooses, in the order of the file.
std::span<const Key> job_keys();

// The tables, [rewards] included, in the order of the file.
std::vector<std::string_view> job_tables();

const Key* find_job_key(std::string_view path);

// What to say about an unknown key: ours for a peer's name, the table that has it, or the nearest
// by spelling; empty when nothing is near.
std::string advice_for_unknown_key(std::string_view path);

}  // namespace troupe::cluster
