// What a TOML file has, in words for error messages.
#pragma once

#include <toml++/toml.h>

#include <string>

namespace troupe::cluster {

// "a string", "an integer", "a table", ...
const char* type_name(const toml::node& node);

// A value that is not what it should be: a text in quotes, a number, or else the type's name.
std::string value_text(const toml::node& node);

}  // namespace troupe::cluster
