#include "schemas/job_codec.h"

#include <doctest/doctest.h>

#include <bit>
#include <functional>
#include <limits>

#include "schemas/bounds.h"
#include "schemas/job_wire.h"
#include "tests/schemas/filled.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

Bytes encoded(const JobSpec& job) { return encode(job); }

TEST_CASE("job_codec: every field comes back") {
  check_round_trip(filled_job_spec(), encoded, decode_job);
  check_round_trip(JobSpec{}, encoded, decode_job);
  JobSpec job = filled_job_spec();
  job.sft.balance_bias_rate = 0;  // Given, which is not the same as absent.
  check_round_trip(job, encoded, decode_job);
}

TEST_CASE("job_codec: a missing field means what a missing key means") {
  const Bytes empty = [] {
    capnp::MallocMessageBuilder message;
    message.initRoot<wire::JobSpec>();
    return wire::to_bytes(message);
  }();
  const auto job = decode_job(empty);
  REQUIRE(job);
  CHECK(same(*job, JobSpec{}));
}

TEST_CASE("job_codec: not a number comes back with its bits") {
  JobSpec job;
  job.grpo.kl_coef = std::bit_cast<double>(uint64_t{0x7ff8dead'beef0001});
  job.prices.gpu_hour = -std::numeric_limits<double>::infinity();
  const auto received = decode_job(encode(job));
  REQUIRE(received);
  CHECK(std::bit_cast<uint64_t>(received->grpo.kl_coef) == uint64_t{0x7ff8dead'beef0001});
  CHECK(received->prices.gpu_hour == job.prices.gpu_hour);
}

TEST_CASE("job_codec: cut and flipped messages") {
  const Bytes bytes = encode(filled_job_spec());
  check_cuts_are_refused(bytes, decode_job);
  check_flips_are_survived(bytes, 10'000, encoded, decode_job);
}

TEST_CASE("job_codec: what is too long to be sent is named, and refused when it arrives") {
  struct Fault {
    const char* word;
    std::function<void(JobSpec&)> apply;
  };
  const std::string text(kNameBytesMax + 1, 'x');
  const Fault faults[] = {
      {"job: name has", [&](JobSpec& j) { j.name = text; }},
      {"policy.model", [&](JobSpec& j) { j.policy.model = text; }},
      {"data.cold_start has 4097",
       [&](JobSpec& j) {
         j.data.cold_start = {"a", text};
       }},
      {"data.cold_start has 1025", [&](JobSpec& j) { j.data.cold_start.resize(1025); }},
      {"sft.part_shares", [&](JobSpec& j) { j.sft.part_shares.resize(1025); }},
      {"rewards has 65", [&](JobSpec& j) { j.rewards.resize(65); }},
      {"a reward's verifier", [&](JobSpec& j) { j.rewards = {{.verifier = text}}; }},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.word);
    JobSpec job = filled_job_spec();
    REQUIRE(validate(job));
    fault.apply(job);
    const Status status = validate(job);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInvalidArgument);
    CHECK(status.error().message.find(fault.word) != std::string::npos);
  }

  capnp::MallocMessageBuilder message;
  message.initRoot<wire::JobSpec>().initPolicy().setModel(text.c_str());
  const auto refused = decode_job(wire::to_bytes(message));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCorruption);
  CHECK(refused.error().message.find("model has 4097 entries") != std::string::npos);
}

}  // namespace
}  // namespace troupe
