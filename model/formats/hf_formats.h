// Which fields each model_type's config.json has, and which of ours they are.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

#include "model/transformer/config.h"

namespace troupe::model {

using ConfigMember = std::variant<int64_t TransformerConfig::*, double TransformerConfig::*,
                                  bool TransformerConfig::*>;

struct ConfigField {
  const char* name;
  ConfigMember member;
  nlohmann::json missing{};  // What transformers takes a missing field for; null: it must be there.
  const char* alias = "";    // Another name that transformers reads and writes it under.
};

// What the mathematics here is, said the way the file says it. A file with another value asks for
// another model. A missing one means this value in transformers too.
struct FixedField {
  const char* name;
  nlohmann::json value;
  bool is_written = true;
};

// One model_type: which of its fields are which of ours.
struct ConfigFormat {
  Family family;
  const char* model_type;
  const char* architecture;
  // transformers' values for missing fields that are read apart from the table.
  int32_t bos_token_id = -1;
  int32_t eos_token_id = -1;
  int64_t num_key_value_heads = 0;  // 0: as many as num_attention_heads.
  int64_t head_dim = 0;             // 0: hidden_size / num_attention_heads.
  int64_t sliding_window = 0;       // 0: none.
  double rope_theta = 10000;
  std::vector<ConfigField> fields{};
  std::vector<FixedField> fixed{};
};

// In the order in which messages list them.
const std::vector<ConfigFormat>& config_formats();

const ConfigFormat& config_format_of(Family family);

}  // namespace troupe::model
