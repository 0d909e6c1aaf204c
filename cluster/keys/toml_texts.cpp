#include "cluster/keys/toml_texts.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

Error at(const std::string& origin, const toml::node& node, const std::string& message) {
  return invalid_argument(
      fmt::format("{}:{}: {}", origin, node.source().begin.line, printable(message)));
}

}  // namespace

Result<TomlTexts> read_toml_texts(const std::string& text, const std::string& origin) try {
  const toml::table parsed = toml::parse(text, origin);
  TomlTexts texts;
  for (const auto& [key, node] : parsed) {
    const std::string name(key.str());
    if (const auto value = node.value_exact<std::string>()) {
      texts.values[name] = *value;
      continue;
    }
    const toml::table* table = node.as_table();
    if (table == nullptr) return at(origin, node, fmt::format("{} is no text in quotes", name));
    auto& inner = texts.tables[name];
    for (const auto& [inner_key, inner_node] : *table) {
      const std::string path = fmt::format("{}.{}", name, inner_key.str());
      const auto value = inner_node.value_exact<std::string>();
      if (!value) return at(origin, inner_node, path + " is no text in quotes");
      inner[std::string(inner_key.str())] = *value;
    }
  }
  return texts;
} catch (const toml::parse_error& error) {
  return invalid_argument(fmt::format("{}:{}: {}", origin, error.source().begin.line,
                                      printable(std::string(error.description()))));
}

}  // namespace troupe::cluster
