#include "cluster/gateway/content_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "model/formats/file.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

// While the daemon has too much to do.
constexpr std::chrono::milliseconds kAskAgain{200};
constexpr std::chrono::seconds kPatience{60};

Result<ControlReply> ask(FrontDoorClient& client, const ControlRequest& request) {
  const auto until = Clock::now() + kPatience;
  while (true) {
    auto reply = client.ask(request);
    const bool is_busy = !reply && reply.error().code == ErrorCode::kOverloaded;
    if (!is_busy || Clock::now() >= until) return reply;
    std::this_thread::sleep_for(kAskAgain);
  }
}

Result<uint64_t> send_file(FrontDoorClient& client, const FileToSend& file) {
  const auto content = model::read_file(file.path, kContentBytesMax);
  if (!content) return content.error();
  const auto bytes = std::as_bytes(std::span(*content));
  uint64_t sent = 0;
  for (uint64_t next = 0;;) {
    const auto size = std::min<uint64_t>(kContentPartBytesMax, bytes.size() - next);
    const auto part = bytes.subspan(next, size);
    const auto reply = ask(client, SendContent{.file = {.sha256 = file.reference.sha256,
                                                        .name = file.reference.name,
                                                        .bytes = bytes.size()},
                                               .offset = next,
                                               .bytes = {part.begin(), part.end()}});
    if (!reply) return reply.error();
    sent += size;
    if (reply->next >= bytes.size()) return sent;
    // A daemon that was begun anew has thrown away what had come, so it may want it from earlier.
    if (sent > 4 * bytes.size() + kContentPartBytesMax) {
      return Error{ErrorCode::kInternal,
                   fmt::format("the daemon loses {} while it is sent; try again", file.path)};
    }
    next = reply->next;
  }
}

}  // namespace

Result<ContentSent> send_content(FrontDoorClient& client, std::span<const FileToSend> files) {
  ContentSent sent;
  if (files.empty()) return sent;
  OfferContent offer;
  for (const FileToSend& file : files) {
    offer.files.push_back({file.reference.sha256, file.reference.name, file.bytes});
  }
  const auto lacking = ask(client, offer);
  if (!lacking) return lacking.error();
  for (const std::string& sha256 : lacking->lacking) {
    const auto file = std::find_if(files.begin(), files.end(), [&](const FileToSend& one) {
      return one.reference.sha256 == sha256;
    });
    if (file == files.end()) continue;
    const auto bytes = send_file(client, *file);
    if (!bytes) return bytes.error();
    ++sent.files;
    sent.bytes += *bytes;
  }
  return sent;
}

}  // namespace troupe::cluster
