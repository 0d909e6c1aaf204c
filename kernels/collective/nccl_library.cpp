#include "kernels/collective/nccl_library.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "schemas/descriptor.h"

namespace troupe::kernels::collective {
namespace {

constexpr const char* kInterface = "NCCL_SOCKET_IFNAME";
constexpr std::chrono::milliseconds kReportPatience{1'000};
constexpr size_t kReportBytesMax = 4'096;

template <class Function>
bool find(void* handle, Function*& function, const char* symbol) {
  function = reinterpret_cast<Function*>(::dlsym(handle, symbol));
  return function != nullptr;
}

}  // namespace

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::open(const std::string& path) {
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("NCCL ({}) is not installed, by which GPUs reach each other", path)};
  }
  std::shared_ptr<NcclLibrary> library(new NcclLibrary(handle));
  if (!library->find_all()) {
    return Error{ErrorCode::kUnavailable, path + " is older than NCCL 2.19; install a newer one"};
  }
  return std::shared_ptr<const NcclLibrary>(std::move(library));
}

NcclLibrary::~NcclLibrary() { ::dlclose(handle_); }

bool NcclLibrary::find_all() {
  return find(handle_, get_version, "ncclGetVersion") &&
         find(handle_, get_unique_id, "ncclGetUniqueId") &&
         find(handle_, init, "ncclCommInitRankConfig") &&
         find(handle_, async_error, "ncclCommGetAsyncError") &&
         find(handle_, abort, "ncclCommAbort") && find(handle_, destroy, "ncclCommDestroy") &&
         find(handle_, group_start, "ncclGroupStart") && find(handle_, group_end, "ncclGroupEnd") &&
         find(handle_, send, "ncclSend") && find(handle_, receive, "ncclRecv") &&
         find(handle_, error_string, "ncclGetErrorString") &&
         find(handle_, last_error, "ncclGetLastError");
}

std::string NcclLibrary::version() const {
  int number = 0;
  if (get_version(&number) != kNcclSuccess) return "of an unknown version";
  return fmt::format("{}.{}.{}", number / 10'000, number / 100 % 100, number % 100);
}

std::string NcclLibrary::describe(int code, void* communicator) const {
  const char* const more = last_error(communicator);
  const std::string what = error_string(code);
  return more == nullptr || *more == '\0' ? what : what + ": " + more;
}

void use_interface_of(const std::string& address) {
  if (std::getenv(kInterface) != nullptr) return;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    char text[NI_MAXHOST] = {};
    if (::getnameinfo(one->ifa_addr, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) != 0) {
      continue;
    }
    if (address != text) continue;
    // "=": this one alone, and not all whose names begin so.
    ::setenv(kInterface, (std::string("=") + one->ifa_name).c_str(), 0);
    break;
  }
  ::freeifaddrs(all);
}

std::string nccl_report(int port) {
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<uint16_t>(port));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Of this host: it is there at once, or not at all.
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof(place)) != 0) {
    return "";
  }
  constexpr char kQuestion[] = "status\n";
  if (::send(socket.get(), kQuestion, sizeof(kQuestion) - 1, MSG_NOSIGNAL) < 0) return "";
  std::string report;
  const auto until = std::chrono::steady_clock::now() + kReportPatience;
  while (report.size() < kReportBytesMax) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd polled{socket.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&polled, 1, static_cast<int>(left.count())) <= 0) break;
    char bytes[1'024];
    const ssize_t n = ::recv(socket.get(), bytes, sizeof(bytes), 0);
    if (n <= 0) break;
    for (ssize_t i = 0; i < n && report.size() < kReportBytesMax; ++i) {
      const char c = bytes[i];
      report += c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
    }
  }
  return report;
}

}  // namespace troupe::kernels::collective
