// JSON as YAML, for people and programs that want it so.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace troupe::cluster {

// One document, in the order of its keys. Whoever reads it as YAML 1.1 or 1.2 has `json` again.
std::string yaml_text(const nlohmann::ordered_json& json);

}  // namespace troupe::cluster
