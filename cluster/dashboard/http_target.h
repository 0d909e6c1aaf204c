// What a request asks for: the path and the parameters of its first line. Strict: what is not
// plainly right is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct HttpTarget {
  std::string path{};                          // Begins with a slash; decoded.
  std::map<std::string, std::string> query{};  // Decoded; each name once.
};

inline constexpr size_t kTargetBytesMax = 4'096;
inline constexpr size_t kParametersMax = 32;

// Nothing for what is longer, is not of printable ASCII, has a wrong escape, control characters
// behind one, or a name twice.
std::optional<HttpTarget> parse_target(std::string_view text);

// Between slashes: "/api/jobs/7" is api, jobs, 7.
std::vector<std::string_view> path_parts(std::string_view path);

// Digits only.
std::optional<uint64_t> parse_number(std::string_view text);

// The host that a Host header names, without its port, in lower case; nothing when it is none.
std::optional<std::string> host_name(std::string_view header);

// The value of a cookie; nothing when there is none or it is there twice.
std::optional<std::string_view> cookie_value(std::string_view header, std::string_view name);

}  // namespace troupe::cluster
