#include "cluster/deploy/yaml_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

using nlohmann::ordered_json;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Stands without quotes: nobody takes it for a number, a truth value or part of the language.
bool is_plain(std::string_view text) {
  if (text.empty() || (!is_letter(text[0]) && text[0] != '/')) return false;
  const auto may_be_there = [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') ||
           std::string_view("-_./").find(c) != std::string_view::npos;
  };
  if (!std::all_of(text.begin(), text.end(), may_be_there)) return false;
  std::string low(text);
  for (char& c : low) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "yes", "no", "on",
                                                      "off",  "null",  "y",   "n"};
  return std::find(kWords.begin(), kWords.end(), low) == kWords.end();
}

// Lines as they are, for texts that have several and nothing that would not survive.
bool is_block(const std::string& text) {
  if (text.find('\n') == text.npos || text.back() != '\n' || text[0] == ' ' || text[0] == '\n') {
    return false;
  }
  if (text.size() > 1 && text[text.size() - 2] == '\n') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f &&
                         static_cast<unsigned char>(c) < 0x80);
  });
}

std::string scalar(const ordered_json& json) {
  if (json.is_string() && is_plain(json.get_ref<const std::string&>())) return json;
  if (json.is_object()) return "{}";
  if (json.is_array()) return "[]";
  return to_text(json, {.is_ascii = true});  // A text of JSON's is one of YAML's in quotes.
}

void write(const ordered_json& json, const std::string& indent, std::string& out);

// Behind a key or a dash.
void write_value(const ordered_json& json, const std::string& indent, std::string& out) {
  if (json.is_string() && is_block(json.get_ref<const std::string&>())) {
    const auto& text = json.get_ref<const std::string&>();
    out += " |\n";
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      if (end > at) out += indent + text.substr(at, end - at);
      out += "\n";
      at = end + 1;
    }
  } else if (json.is_structured() && !json.empty()) {
    out += "\n";
    write(json, indent, out);
  } else {
    out += " " + scalar(json) + "\n";
  }
}

void write(const ordered_json& json, const std::string& indent, std::string& out) {
  if (json.is_object() && !json.empty()) {
    for (const auto& [key, value] : json.items()) {
      out += indent + scalar(key) + ":";
      write_value(value, indent + "  ", out);
    }
  } else if (json.is_array() && !json.empty()) {
    for (const ordered_json& value : json) {
      if (value.is_object() && !value.empty()) {
        std::string inner;
        write(value, indent + "  ", inner);
        out += indent + "- " + inner.substr(indent.size() + 2);
      } else {
        out += indent + "-";
        write_value(value, indent + "  ", out);
      }
    }
  } else {
    out += indent + scalar(json) + "\n";
  }
}

}  // namespace

std::string yaml_text(const ordered_json& json) {
  std::string text;
  write(json, "", text);
  return text;
}

}  // namespace troupe::cluster
