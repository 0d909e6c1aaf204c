#include "cluster/dashboard/gzip_text.h"

#include <zlib.h>

#include <algorithm>

#include "schemas/check.h"

namespace troupe::cluster {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for gzip's header.
constexpr int kMemoryLevel = 8;

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const size_t end = std::min(accept_encoding.find(','), accept_encoding.size());
    std::string_view one = accept_encoding.substr(0, end);
    accept_encoding.remove_prefix(std::min(end + 1, accept_encoding.size()));
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    const size_t name_end = std::min(one.find_first_of("; "), one.size());
    if (one.substr(0, name_end) != "gzip") continue;
    // "gzip;q=0" is how somebody says that it is not wanted.
    const size_t quality = one.find("q=");
    return quality == std::string_view::npos ||
           one.substr(quality + 2).find_first_of("123456789") != std::string_view::npos;
  }
  return false;
}

std::string gzipped(std::string_view text) {
  z_stream stream{};
  TROUPE_CHECK(::deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                              Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(::deflateBound(&stream, text.size()), '\0');
  // zlib's interface does not know const; it does not write there.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  TROUPE_CHECK(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

}  // namespace troupe::cluster
