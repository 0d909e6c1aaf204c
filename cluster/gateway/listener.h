// A socket of the front door, by which clients come in: through a file or from the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <zmq.hpp>

#include "cluster/gateway/host_port.h"
#include "cluster/keys/curve_key.h"
#include "schemas/descriptor.h"
#include "schemas/result.h"

namespace troupe::cluster {

// A bound socket that begins anew when it has too many connections: libzmq itself takes all that
// come and keeps memory for each. Clients that keep to the rules connect again by themselves.
class FileListener {
 public:
  FileListener(zmq::context_t& context, zmq::socket_type type, const std::string& path,
               size_t connections_max, int high_water);
  ~FileListener();
  FileListener(const FileListener&) = delete;
  FileListener& operator=(const FileListener&) = delete;

  // Throws zmq::error_t. Whatever lies at the path is replaced.
  void bind();

  // Also lets the socket clean up behind connections that ended: it does so only when it is used.
  // Throws zmq::error_t. True when it began anew.
  bool count_connections();

  void* handle() { return socket_.handle(); }
  zmq::socket_t& socket() { return socket_; }
  void* events() { return events_.handle(); }

 private:
  std::string endpoint() const { return "ipc://" + path_; }
  void listen();

  std::string path_;
  size_t connections_max_;
  zmq::socket_t socket_;
  zmq::socket_t events_;
  int64_t connections_ = 0;
  bool is_closing_ = false;
};

// A bound socket for users' keys. At too many connections those that are there stay and others are
// hung up on: strangers could make everybody come anew otherwise.
class NetworkListener {
 public:
  // Throws zmq::error_t.
  NetworkListener(zmq::context_t& context, zmq::socket_type type, Listening listening,
                  const CurveKeys& head, size_t connections_max, int high_water);
  ~NetworkListener();
  NetworkListener(const NetworkListener&) = delete;
  NetworkListener& operator=(const NetworkListener&) = delete;

  // Throws zmq::error_t.
  void bind();

  const HostPort& address() const { return listening_.address; }
  void* handle() { return socket_.handle(); }
  zmq::socket_t& socket() { return socket_; }

 private:
  Listening listening_;  // Without its descriptor once that is libzmq's.
  int descriptor_;
  zmq::socket_t socket_;
};

}  // namespace troupe::cluster
