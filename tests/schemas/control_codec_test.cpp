#include "schemas/control_codec.h"

#include <doctest/doctest.h>

#include <bit>

#include "schemas/bounds.h"
#include "schemas/control.capnp.h"
#include "schemas/wire.h"
#include "tests/schemas/filled.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

template <class T>
Bytes encoded(const T& value) {
  return encode(value);
}

// Calls check(value, decode) for every kind of request and event, and for a reply.
template <class Check>
void for_each_kind(Check check) {
  for (const ControlRequest& request : filled_control_requests()) {
    check(request, decode_control_request);
  }
  check(filled_control_reply(), decode_control_reply);
  for (const RunEvent& event : filled_run_events()) check(event, decode_run_event);
}

TEST_CASE("control_codec: every field of every message comes back") {
  for_each_kind([](const auto& value, auto decode) {
    check_round_trip(value, encoded<std::decay_t<decltype(value)>>, decode);
  });
  check_round_trip(ControlReply{}, encoded<ControlReply>, decode_control_reply);
  check_round_trip(RunEvent{}, encoded<RunEvent>, decode_run_event);
  ControlReply refused;
  refused.error = Error{ErrorCode::kInternal, ""};  // Said, which is not the same as done.
  check_round_trip(refused, encoded<ControlReply>, decode_control_reply);
  CHECK(filled_control_requests().size() == std::variant_size_v<ControlRequest>);
  CHECK(filled_run_events().size() == std::variant_size_v<decltype(RunEvent::what)>);
}

TEST_CASE("control_codec: cut and flipped messages") {
  for_each_kind([](const auto& value, auto decode) {
    const Bytes bytes = encode(value);
    check_cuts_are_refused(bytes, decode);
    check_flips_are_survived(bytes, 1'000, encoded<std::decay_t<decltype(value)>>, decode);
  });
}

TEST_CASE("control_codec: a loss that is not a number is shown as it is") {
  RunEvent event;
  event.what = StepMetrics{.loss = std::bit_cast<double>(uint64_t{0x7ff8000000000123})};
  const auto received = decode_run_event(encode(event));
  REQUIRE(received);
  CHECK(std::bit_cast<uint64_t>(std::get<StepMetrics>(received->what).loss) ==
        uint64_t{0x7ff8000000000123});
}

template <class T>
void check_refused(const Result<T>& result, const char* word) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::kCorruption);
  CAPTURE(result.error().message);
  CHECK(result.error().message.find(word) != std::string::npos);
}

TEST_CASE("control_codec: what is beyond its bound is refused") {
  check_refused(decode_control_request(Bytes(kControlBytesMax + 8)), "4194312 bytes");
  check_refused(decode_control_reply(Bytes(kControlBytesMax + 8)), "4194312 bytes");

  capnp::MallocMessageBuilder submit;
  submit.initRoot<wire::ControlRequest>().initSubmit().setRequestId(
      std::string(kRequestIdBytesMax + 1, 'x').c_str());
  check_refused(decode_control_request(wire::to_bytes(submit)), "request_id has 129 entries");

  capnp::MallocMessageBuilder reply;
  reply.initRoot<wire::ControlReply>().initLines(kControlListMax + 1);
  check_refused(decode_control_reply(wire::to_bytes(reply)), "lines has 10001 entries");
}

// The newer program's union member: its number is in the first 2 bytes of the request's data, after
// the segment table and the root pointer.
TEST_CASE("control_codec: an unknown kind of request or event is refused") {
  Bytes request = encode(ControlRequest(ShowJob{.id = 1}));
  request[16] = std::byte{std::variant_size_v<ControlRequest>};
  check_refused(decode_control_request(request), "the kind of request is unknown");

  // Of an event the number comes after job, sequence and seconds.
  Bytes event = encode(RunEvent{.what = Noted{.line = "x"}});
  event[16 + 24] = std::byte{7};
  check_refused(decode_run_event(event), "the kind of event is unknown");
}

TEST_CASE("control_codec: long lines are cut, so that a reply can be sent") {
  ControlReply reply;
  reply.lines = {std::string(2 * kTextBytesMax, 'x'), "y"};
  const auto received = decode_control_reply(encode(reply));
  REQUIRE(received);
  CHECK(received->lines[0].size() == kTextBytesMax);
  CHECK(received->lines[1] == "y");
}

}  // namespace
}  // namespace troupe
