#include "kernels/collective/call.h"

#include <fmt/format.h>

namespace troupe::kernels {

const char* name_of(Collective kind) {
  switch (kind) {
    case Collective::kNone:
      return "none";
    case Collective::kAllToAll:
      return "all_to_all";
    case Collective::kAllGather:
      return "all_gather";
    case Collective::kBroadcast:
      return "broadcast";
    case Collective::kExchange:
      return "exchange";
    case Collective::kBarrier:
      return "barrier";
  }
  return "unknown";
}

namespace collective {
namespace {

std::string bytes_of(uint64_t bytes) {
  return bytes == kAnyBytes ? "any bytes" : fmt::format("{} bytes", bytes);
}

}  // namespace

uint64_t group_of(std::span<const int> ranks) {
  // FNV-1a over the numbers; nobody gains by two lists of one name.
  uint64_t hash = 0xcbf29ce484222325;
  for (const int rank : ranks) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (static_cast<uint32_t>(rank) >> shift & 0xff)) * 0x100000001b3;
    }
  }
  return hash;
}

std::string describe(const Call& call) {
  std::string text = fmt::format("{} number {}", name_of(call.kind), call.number);
  if (call.kind == Collective::kBroadcast) text += fmt::format(" from root {}", call.argument);
  if (call.kind == Collective::kExchange) text += fmt::format(" of at most {}", call.argument);
  return fmt::format("{} (sends {} and expects {})", text, bytes_of(call.sends),
                     bytes_of(call.expects));
}

std::optional<std::string> disagreement(const Said& mine, const Said& theirs) {
  const Call &here = mine.call, &there = theirs.call;
  const bool is_same_call = here.kind == there.kind && here.group == there.group &&
                            here.number == there.number && here.argument == there.argument;
  const auto fits = [&](uint64_t sent, uint64_t expected) {
    if (expected == kAnyBytes) return here.kind == Collective::kExchange && sent <= here.argument;
    return sent == expected;
  };
  if (is_same_call && fits(there.sends, here.expects) && fits(here.sends, there.expects)) {
    return std::nullopt;
  }
  std::string text = fmt::format("rank {} calls {} and rank {} calls {}", mine.rank, describe(here),
                                 theirs.rank, describe(there));
  if (here.group != there.group) {
    text += fmt::format(", on behalf of other ranks (groups {:016x} and {:016x})", here.group,
                        there.group);
  }
  return text;
}

}  // namespace collective
}  // namespace troupe::kernels
