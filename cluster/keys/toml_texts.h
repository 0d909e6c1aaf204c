// Small TOML files that hold nothing but texts: keys and where servers are.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

struct TomlTexts {
  std::map<std::string, std::string> values{};
  std::map<std::string, std::map<std::string, std::string>> tables{};
};

// kInvalidArgument, with `origin` and the line, for what is no TOML, and for a value that is
// neither a text nor a table of texts.
Result<TomlTexts> read_toml_texts(const std::string& text, const std::string& origin);

}  // namespace troupe::cluster
