// The sockets of one rank: a ROUTER that the ranks above dial, and a DEALER to each rank below.
//
//   rank 2 DEALER ──▶ ROUTER rank 0          over tcp with CURVE, on one host over ipc
//   rank 2 DEALER ──▶ ROUTER rank 1
//
// Who is behind a connection is known from its keys, never from what it says. No connection is made
// twice: one that is gone is a rank that is gone. Used by one thread, beside construction.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "kernels/collective/conversation.h"
#include "kernels/collective/zmq_mesh.h"

namespace troupe::kernels::collective {

class ZmqLinks final : public FrameSink {
 public:
  struct Incoming {
    int rank = 0;
    zmq::message_t message{};
  };
  struct Loss {
    int rank = 0;
    std::string reason{};  // "its connection has ended"
  };

  // Throws zmq::error_t.
  explicit ZmqLinks(const ZmqMesh::Options& options);
  ~ZmqLinks() override;

  // Where the others find this rank. kInvalidArgument for an address that cannot be bound.
  Status bind();
  const std::string& endpoint() const { return endpoint_; }

  // kInvalidArgument for an endpoint of another kind. Whether it can be reached turns out later.
  Status dial(int rank, const std::string& endpoint);

  // Until something can be received, `wake` can be read or the time is over; nullopt: for ever.
  // Lets in or refuses who knocks.
  void wait(int wake, std::optional<std::chrono::milliseconds> time);

  // False when nothing is there. In turns, so that no rank is kept waiting by another.
  bool receive(Incoming& incoming);

  // To be asked when nothing is there to be received: what a rank has said comes before its end.
  std::vector<Loss> take_losses();

  // To a rank that cannot be reached nothing is sent; it becomes a loss.
  void send(int rank, const Frame& frame, std::span<const std::byte> payload) override;

  // Nothing more is sent to it, nor what waits to be sent.
  void forget(int rank);

  // Sends what is to be sent for at most `linger`.
  void close(std::chrono::milliseconds linger);

  uint64_t num_admitted() const { return num_admitted_; }
  uint64_t num_refused() const { return num_refused_; }

 private:
  // A socket, and what libzmq tells of its connections.
  struct Watched {
    zmq::socket_t socket{};
    zmq::socket_t events{};
  };
  // A rank that has dialled this one.
  struct Guest {
    std::string route{};  // What the ROUTER calls it.
    int descriptor = -1;  // Of its connection, as libzmq's events call it.
    bool is_admitted = false;
  };

  Watched make(zmq::socket_type type, int events);
  void set_limits(zmq::socket_t& socket);
  void close(Watched& watched, std::chrono::milliseconds linger);
  void answer_knock();
  void read_router_events();
  void read_dealer_events(int rank);
  bool receive_from_router(Incoming& incoming);
  bool receive_from_dealer(int rank, Incoming& incoming);
  bool greet(int rank, const zmq::message_t& route, const zmq::message_t& message);
  void lose(int rank, std::string reason);
  bool is_below(int rank) const { return rank < seat_.rank; }

  const ZmqSeat seat_;
  const ZmqMesh::Options options_;
  ZmqTransport transport_ = ZmqTransport::kIpc;
  std::string endpoint_{};
  zmq::context_t context_;
  zmq::socket_t knocks_;  // ZAP's requests.
  Watched router_{};
  std::vector<Watched> dealers_;                  // By rank, below this one.
  std::vector<Guest> guests_;                     // By rank, above this one.
  std::vector<std::optional<std::string>> lost_;  // By rank; the reason until it is taken, then "".
  std::vector<Loss> losses_{};
  size_t next_turn_ = 0;
  int num_watched_ = 0;
  uint64_t num_admitted_ = 0, num_refused_ = 0;
};

}  // namespace troupe::kernels::collective
