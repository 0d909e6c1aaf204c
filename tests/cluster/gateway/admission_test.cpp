#include "cluster/gateway/admission.h"

#include <doctest/doctest.h>

#include <string>

namespace troupe::cluster {
namespace {

using std::chrono::milliseconds;

const Admission::Time kStart{};

TEST_CASE("token_bucket: gives its burst at once and then a steady rate") {
  TokenBucket bucket(10, 5, kStart);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(bucket.take(kStart));
  CHECK(bucket.take(kStart) == milliseconds(100));
  CHECK(bucket.take(kStart + milliseconds(50)) == milliseconds(50));
  CHECK_FALSE(bucket.take(kStart + milliseconds(100)));
  CHECK(bucket.take(kStart + milliseconds(100)) == milliseconds(100));
  // A long rest fills no more than the burst.
  for (int i = 0; i < 5; ++i) CHECK_FALSE(bucket.take(kStart + std::chrono::hours(1)));
  CHECK(bucket.take(kStart + std::chrono::hours(1)));
}

TEST_CASE("admission: a client that floods is refused, others are not") {
  Admission admission(
      {.per_second = 1000, .burst = 1000, .per_client_per_second = 10, .per_client_burst = 20},
      kStart);
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (const auto wait = admission.begin("loud", kStart)) {
      CHECK(*wait > milliseconds(0));
      ++refused;
    } else {
      admission.end("loud");
    }
    if (i % 1000 == 0) {
      CHECK_FALSE(admission.begin("quiet", kStart));
      admission.end("quiet");
    }
  }
  CHECK(refused == 9'980);
}

TEST_CASE("admission: requests in flight are bounded for each and for all") {
  Admission admission({.in_flight_max = 6, .in_flight_per_client_max = 4}, kStart);
  for (int i = 0; i < 4; ++i) CHECK_FALSE(admission.begin("a", kStart));
  CHECK(admission.begin("a", kStart));
  CHECK_FALSE(admission.begin("b", kStart));
  CHECK_FALSE(admission.begin("c", kStart));
  CHECK(admission.begin("d", kStart));
  admission.end("a");
  CHECK_FALSE(admission.begin("d", kStart));
  CHECK(admission.in_flight() == 6);
}

TEST_CASE("admission: clients without number take bounded memory, and all share one rate") {
  Admission admission({.in_flight_max = 8, .per_second = 100, .burst = 100, .clients_max = 16},
                      kStart);
  CHECK_FALSE(admission.begin("stays", kStart));
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = std::to_string(i);
    if (admission.begin(id, kStart)) continue;
    admission.end(id);
    ++admitted;
  }
  CHECK(admitted == 99);
  CHECK(admission.clients() == 16);
  admission.end("stays");  // A client with a request in flight is never forgotten.
  CHECK(admission.in_flight() == 0);
}

}  // namespace
}  // namespace troupe::cluster
