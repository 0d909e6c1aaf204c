#include "cluster/nodes/peer_reader.h"

#include <fmt/format.h>
#include <zmq.hpp>

#include <map>
#include <utility>

#include "cluster/gateway/host_port.h"
#include "cluster/keys/curve_socket.h"
#include "cluster/nodes/link_socket.h"
#include "schemas/node_codec.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(100);

}  // namespace

class PeerReader::Impl {
 public:
  Impl(const CopySource& source, const KeyFile& key)
      : node_(source.node), dealer_(context_, zmq::socket_type::dealer) {
    set_link_limits(dealer_);
    KeyFile shown = key;
    shown.head_key = source.key;
    set_curve_client(dealer_, shown);
    dealer_.connect("tcp://" + text_of(HostPort{source.address, source.port}));
  }

  Result<std::vector<std::vector<std::byte>>> read(const FileVersion& file,
                                                   const std::vector<uint64_t>& offsets,
                                                   const std::function<bool()>& is_ending) {
    const uint64_t first = next_request_;
    next_request_ += offsets.size();
    for (size_t i = 0; i < offsets.size(); ++i) {
      const FromNode request =
          FileRequest{.request_id = first + i,
                      .what = ReadCopy{.file = file, .offset = offsets[i], .size = kFilePartBytes}};
      send_link_frame(dealer_, std::nullopt, {}, encode(request));
    }
    std::vector<std::vector<std::byte>> parts(offsets.size());
    std::vector<bool> is_there(offsets.size());
    size_t missing = offsets.size();
    auto heard = Clock::now();
    while (missing > 0) {
      zmq::pollitem_t polled[] = {{dealer_.handle(), 0, ZMQ_POLLIN, 0}};
      try {
        zmq::poll(polled, 1, kLook);
      } catch (const zmq::error_t& error) {
        if (error.num() != EINTR) throw;
      }
      if (is_ending()) return Error{ErrorCode::kInternal, "this daemon is about to end"};
      while (receive_frames(dealer_, 1, frames_)) {
        if (frames_.empty()) continue;
        const auto frame = link_frame_in(frames_[0]);
        if (!frame) continue;
        auto message = decode_to_node(frame->bytes);
        auto* reply = message ? std::get_if<FileReply>(&*message) : nullptr;
        // Of an earlier call, or nothing that was asked for.
        if (reply == nullptr || reply->request_id < first || reply->request_id >= next_request_) {
          continue;
        }
        if (reply->error) return *reply->error;
        const size_t i = reply->request_id - first;
        if (is_there[i]) continue;
        is_there[i] = true;
        parts[i] = std::move(reply->bytes);
        --missing;
        heard = Clock::now();
      }
      if (missing > 0 && Clock::now() - heard > kPeerSilenceMax) {
        return Error{ErrorCode::kInternal, fmt::format("node {} has given nothing of {} for {} s",
                                                       node_, file.path, kPeerSilenceMax.count())};
      }
    }
    return parts;
  }

 private:
  const std::string node_;
  zmq::context_t context_{};
  zmq::socket_t dealer_;
  std::vector<zmq::message_t> frames_{};
  uint64_t next_request_ = 1;
};

PeerReader::PeerReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerReader::~PeerReader() = default;

Result<std::unique_ptr<PeerReader>> PeerReader::open(const CopySource& source,
                                                     const KeyFile& key) try {
  return std::unique_ptr<PeerReader>(new PeerReader(std::make_unique<Impl>(source, key)));
} catch (const zmq::error_t& error) {
  return invalid_argument(fmt::format("cannot dial node {} at {}:{}: {}", source.node,
                                      source.address, source.port, error.what()));
}

Result<std::vector<std::vector<std::byte>>> PeerReader::read(
    const FileVersion& file, const std::vector<uint64_t>& offsets,
    const std::function<bool()>& is_ending) {
  return impl_->read(file, offsets, is_ending);
}

}  // namespace troupe::cluster
