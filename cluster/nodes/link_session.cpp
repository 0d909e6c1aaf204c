#include "cluster/nodes/link_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace troupe::cluster {

void LinkSession::say(Bytes message) {
  const auto shared = std::make_shared<const Bytes>(std::move(message));
  size_t begin = 0;
  do {
    const size_t end = std::min(shared->size(), begin + limits_.part_bytes);
    kept_.push_back({shared, begin, end});
    begin = end;
  } while (begin < shared->size());
  bytes_waiting_ += shared->size();
}

std::optional<LinkSession::Part> LinkSession::next() {
  const uint64_t index = next_ - first_;
  if (index >= kept_.size()) return std::nullopt;
  const Kept& part = kept_[index];
  // One at least, however long it is.
  if (bytes_under_way_ > 0 && bytes_under_way_ + part.size() > limits_.under_way_bytes) {
    return std::nullopt;
  }
  bytes_under_way_ += part.size();
  Part out{.header = header()};
  out.header.sequence = next_++;
  sent_ = std::max(sent_, out.header.sequence);
  out.header.goes_on = part.end < part.message->size();
  out.bytes = std::span(*part.message).subspan(part.begin, part.size());
  return out;
}

Status LinkSession::acknowledge(uint64_t received) {
  if (received > sent_) {
    return Error{ErrorCode::kCorruption,
                 fmt::format("the other side has part {} of a session in which {} were sent",
                             received, sent_)};
  }
  for (; first_ <= received; ++first_) {
    // A part may have come by an old connection, and not yet been sent again by the new one.
    if (first_ < next_) bytes_under_way_ -= kept_.front().size();
    bytes_waiting_ -= kept_.front().size();
    kept_.pop_front();
  }
  next_ = std::max(next_, first_);
  return ok();
}

Result<LinkSession::Heard> LinkSession::hear(const LinkHeader& header,
                                             std::span<const std::byte> bytes) {
  if (Status known = acknowledge(header.received); !known) return known.error();
  Heard heard{.is_missing = header.is_missing};
  if (header.sequence == 0 || header.sequence <= received_) return heard;
  if (header.sequence != received_ + 1) {
    is_missing_ = heard.is_missing = true;
    return heard;
  }
  is_missing_ = false;
  if (begun_.size() + bytes.size() > limits_.message_bytes_max) {
    return Error{ErrorCode::kCorruption, "a message of the session is longer than any may be"};
  }
  ++received_;
  bytes_untold_ += bytes.size();
  begun_.insert(begun_.end(), bytes.begin(), bytes.end());
  if (!header.goes_on) heard.message = std::exchange(begun_, {});
  return heard;
}

Status LinkSession::resume(uint64_t received) {
  if (Status known = acknowledge(received); !known) return known;
  next_ = first_;
  bytes_under_way_ = 0;
  is_missing_ = false;
  return ok();
}

LinkHeader LinkSession::header() {
  bytes_untold_ = 0;
  return {.session = id_, .received = received_, .is_missing = is_missing_};
}

}  // namespace troupe::cluster
