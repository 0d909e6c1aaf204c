// Replies made small for browsers that say that they read gzip.
#pragma once

#include <string>
#include <string_view>

namespace troupe::cluster {

// The value of a request's Accept-Encoding.
bool accepts_gzip(std::string_view accept_encoding);

// As one gzip member; quickly rather than as small as can be.
std::string gzipped(std::string_view text);

}  // namespace troupe::cluster
