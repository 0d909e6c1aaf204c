#include "cluster/dashboard/http_target.h"

#include <algorithm>
#include <charconv>

namespace troupe::cluster {
namespace {

constexpr size_t kHostBytesMax = 255;
constexpr size_t kCookiesMax = 64;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_printable(unsigned char c) { return c > 0x20 && c < 0x7f; }

std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    const auto byte = static_cast<unsigned char>(16 * high + low);
    if (byte < 0x20 || byte == 0x7f) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

// Calls `use` with what is between separators; false as soon as it says so.
template <class Use>
bool split(std::string_view text, char separator, Use use) {
  while (true) {
    const size_t end = std::min(text.find(separator), text.size());
    if (!use(text.substr(0, end))) return false;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::optional<HttpTarget> parse_target(std::string_view text) {
  if (text.empty() || text.size() > kTargetBytesMax || text[0] != '/') return std::nullopt;
  if (!std::all_of(text.begin(), text.end(), is_printable)) return std::nullopt;
  const size_t end = std::min(text.find('?'), text.size());
  auto path = decoded(text.substr(0, end));
  if (!path) return std::nullopt;
  HttpTarget target{.path = std::move(*path)};
  if (end == text.size()) return target;
  const bool is_right = split(text.substr(end + 1), '&', [&](std::string_view one) {
    if (one.empty()) return true;
    const size_t equals = std::min(one.find('='), one.size());
    auto name = decoded(one.substr(0, equals));
    auto value = decoded(one.substr(std::min(equals + 1, one.size())));
    if (!name || !value || target.query.size() == kParametersMax) return false;
    return target.query.try_emplace(std::move(*name), std::move(*value)).second;
  });
  if (!is_right) return std::nullopt;
  return target;
}

std::vector<std::string_view> path_parts(std::string_view path) {
  std::vector<std::string_view> parts;
  split(path, '/', [&](std::string_view part) {
    if (!part.empty()) parts.push_back(part);
    return true;
  });
  return parts;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || at != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> host_name(std::string_view header) {
  if (header.empty() || header.size() > kHostBytesMax) return std::nullopt;
  std::string_view name = header;
  if (header[0] == '[') {
    const size_t end = header.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    name = header.substr(1, end - 1);
    header.remove_prefix(end + 1);
  } else {
    const size_t end = std::min(header.find(':'), header.size());
    name = header.substr(0, end);
    header.remove_prefix(end);
  }
  if (!header.empty()) {
    const auto port = header[0] == ':' ? parse_number(header.substr(1)) : std::nullopt;
    if (!port || *port > 65'535) return std::nullopt;
  }
  std::string out;
  for (const char c : name) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_other = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' || c == '_';
    if (!is_letter && !is_other) return std::nullopt;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (out.empty()) return std::nullopt;
  return out;
}

std::optional<std::string_view> cookie_value(std::string_view header, std::string_view name) {
  std::optional<std::string_view> found;
  size_t cookies = 0;
  const bool is_right = split(header, ';', [&](std::string_view one) {
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    if (++cookies > kCookiesMax) return false;
    const size_t equals = one.find('=');
    if (equals == std::string_view::npos || one.substr(0, equals) != name) return true;
    if (found) return false;
    found = one.substr(equals + 1);
    return true;
  });
  return is_right ? found : std::nullopt;
}

}  // namespace troupe::cluster
