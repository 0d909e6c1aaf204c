#include "cluster/dashboard/gzip_text.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

TEST_CASE("gzip_text: what was packed is read again") {
  std::mt19937_64 random(1);
  const tests::TempDir dir;
  for (const size_t size : {0, 1, 1'000, 300'000}) {
    std::string text(size, ' ');
    for (char& byte : text) byte = static_cast<char>('a' + random() % 26);
    tests::write_text(dir.file("packed"), gzipped(text));
    CHECK(std::system(("gzip -dc " + dir.file("packed") + " > " + dir.file("read")).c_str()) == 0);
    CHECK(tests::contents(dir.file("read")) == text);
  }
}

TEST_CASE("gzip_text: who reads it says so") {
  CHECK(accepts_gzip("gzip"));
  CHECK(accepts_gzip("deflate, gzip;q=0.5, br"));
  CHECK(accepts_gzip("br,gzip ;q=1"));
  for (const char* no :
       {"", "br", "gzip;q=0", "gzip; q=0.0", "xgzip", "gzipx", ",,;,", "gzip;q="}) {
    CAPTURE(no);
    CHECK(!accepts_gzip(no));
  }
}

}  // namespace
}  // namespace troupe::cluster
