#include "cluster/jobs/toml_type.h"

#include "cluster/jobs/job_text.h"

namespace troupe::cluster {

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

std::string value_text(const toml::node& node) {
  if (const auto* string = node.as_string()) return in_quotes(string->get());
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* floating = node.as_floating_point()) return to_text(floating->get());
  return type_name(node);
}

}  // namespace troupe::cluster
