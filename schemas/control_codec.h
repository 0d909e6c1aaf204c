// What is said at the front door <-> bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/control.h"
#include "schemas/result.h"

namespace troupe {

// Values must be valid: jobs valid, lists at most kControlListMax long, request ids at most
// kRequestIdBytesMax, other texts within the bounds of bounds.h; lines and messages for people are
// cut at kTextBytesMax. A request and a reply must fit into kControlBytesMax; whoever fills a reply
// with lines or events stops in time.
std::vector<std::byte> encode(const ControlRequest& request);
std::vector<std::byte> encode(const ControlReply& reply);
std::vector<std::byte> encode(const RunEvent& event);

// kCorruption unless `bytes` is one whole message of its kind, a request or a reply at most
// kControlBytesMax long. The bytes may come from anybody, so no input may crash, over-read or make
// this allocate much more than its size. The events of a reply are not looked into.
Result<ControlRequest> decode_control_request(std::span<const std::byte> bytes);
Result<ControlReply> decode_control_reply(std::span<const std::byte> bytes);
Result<RunEvent> decode_run_event(std::span<const std::byte> bytes);

}  // namespace troupe
