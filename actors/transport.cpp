#include "actors/transport.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/publish.hpp>
#include <caf/openssl/remote_actor.hpp>

#include <chrono>
#include <memory>

#include "actors/credential_files.h"
#include "schemas/check.h"

// Replaces OpenSSL's function for CAF, which calls it after every operation and never empties the
// thread's queue of errors. All connections of a node share that thread, and SSL_get_error takes an
// error that an earlier connection left for one of its own: a single stranger who sends garbage
// would end every connection that is in use. So no error outlives the call it belongs to.
extern "C" int SSL_get_error(const SSL* ssl, int result) {
  using Function = int (*)(const SSL*, int);
  static const auto original = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "SSL_get_error"));
  TROUPE_CHECK(original != nullptr);
  const int error = original(ssl, result);
  ERR_clear_error();
  return error;
}

#ifdef __SANITIZE_ADDRESS__
// Two nodes that shut down at once sometimes leave CAF's own broker behind, once per process.
extern "C" const char* __lsan_default_suppressions() { return "leak:libcaf_io\n"; }
#endif

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;

constexpr char kLoopback[] = "127.0.0.1";

// A peer that stops answering without closing its connection is given up after the second one. A
// process that is killed is noticed within milliseconds, by the end of its connection. The first
// one is no shorter because each beat ends the connections whose handshake it meets (transport.h).
constexpr caf::timespan kHeartbeatInterval = 2s;
constexpr caf::timespan kConnectionTimeout = 6s;

// Actors here decide and pass on; long work has threads of its own.
constexpr size_t kSchedulerThreads = 2;

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

std::string in(const std::string& folder, const char* name) { return folder + "/" + name; }

}  // namespace

Status check_credentials(const std::string& folder) {
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_method()));
  TROUPE_CHECK(context != nullptr);
  const auto unusable = [&folder](const char* name) {
    ERR_clear_error();
    return invalid_argument(
        fmt::format("{} is missing or not what a node needs; restart the head, which makes "
                    "new credentials",
                    in(folder, name)));
  };
  if (SSL_CTX_load_verify_file(context.get(), in(folder, kAuthorityFile).c_str()) != 1) {
    return unusable(kAuthorityFile);
  }
  if (SSL_CTX_use_certificate_chain_file(context.get(), in(folder, kCertificateFile).c_str()) !=
      1) {
    return unusable(kCertificateFile);
  }
  // It also compares the key with the certificate.
  if (SSL_CTX_use_PrivateKey_file(context.get(), in(folder, kKeyFile).c_str(), SSL_FILETYPE_PEM) !=
      1) {
    return unusable(kKeyFile);
  }
  return ok();
}

NodeConfig::NodeConfig(const std::string& credentials_folder) {
  // With all three empty CAF uses anonymous ciphers and checks nobody.
  TROUPE_CHECK(!credentials_folder.empty());
  openssl_certificate = in(credentials_folder, kCertificateFile);
  openssl_key = in(credentials_folder, kKeyFile);
  openssl_cafile = in(credentials_folder, kAuthorityFile);
  add_message_type<WireBytes>("wire_bytes");
  // Separate calls: load<A, B>() would make B a parameter of A.
  load<caf::io::middleman>();
  load<caf::openssl::manager>();
  set("scheduler.max-threads", kSchedulerThreads);
  // Idle threads that look for work to steal would take a tenth of a core from those who compute.
  set("scheduler.policy", caf::atom("sharing"));
  set("middleman.heartbeat-interval", kHeartbeatInterval);
  set("middleman.connection-timeout", kConnectionTimeout);
}

Result<uint16_t> publish_root(const caf::actor& root, uint16_t port) {
  // Reuse, or a head that is restarted cannot have its port back for a minute.
  const auto bound = caf::openssl::publish(root, port, kLoopback, true);
  if (bound) return *bound;
  return invalid_argument(fmt::format("cannot listen on {}:{}: {}; is the port taken?", kLoopback,
                                      port, root.home_system().render(bound.error())));
}

Result<caf::actor> connect_root(caf::actor_system& system, uint16_t port) {
  auto found = caf::openssl::remote_actor(system, kLoopback, port);
  if (found) return std::move(*found);
  return Error{ErrorCode::kInternal, fmt::format("cannot connect to {}:{}: {}", kLoopback, port,
                                                 system.render(found.error()))};
}

}  // namespace troupe::actors
