// Who gets into a team over ZeroMQ, and what strangers and hostile members can do to it.
#include "kernels/collective/zmq_mesh.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <zmq.hpp>

#include "kernels/collective/frame.h"
#include "tests/kernels/collective/team_fixture.h"

namespace troupe::kernels::collective {
namespace {

using namespace tests;  // NOLINT: the fixture is this file's language.

bool refused(const Result<std::shared_ptr<ZmqMesh>>& opened, const std::string& text) {
  return !opened && opened.error().code == ErrorCode::kInvalidArgument &&
         opened.error().message.find(text) != std::string::npos;
}

TEST_CASE("zmq_mesh: an address must be of one host and no seat without its keys") {
  const TempDir dir;
  const ZmqSeat seat = seats_of(2)[0];
  const auto open = [&](const std::string& address) {
    return ZmqMesh::open({.seat = seat, .address = address});
  };
  for (const char* address : {"tcp://*", "tcp://0.0.0.0", "tcp://", "tcp://127.0.0.1:5000",
                              "tcp://::1", "tcp://[::]", "tcp://[]", "tcp://[::1]:5000"}) {
    CAPTURE(address);
    CHECK(refused(open(address), "name one address"));
  }
  CHECK(refused(open("inproc://a"), "ipc:// or tcp://"));
  CHECK(refused(open("tcp://192.0.2.1"), "cannot open a socket"));
  CHECK(refused(open("ipc://" + dir.file(std::string(90, 'x'))), "takes 107"));
  REQUIRE(::mkdir(dir.file("open").c_str(), 0755) == 0);
  CHECK(refused(open("ipc://" + dir.file("open")), "open to other users"));

  ZmqSeat bare = seat;
  bare.secret_key.clear();
  CHECK(refused(ZmqMesh::open({.seat = bare, .address = "tcp://127.0.0.1"}), "secret key"));
  ZmqSeat foreign = seat;
  foreign.secret_key = seats_of(2)[0].secret_key;
  CHECK(refused(ZmqMesh::open({.seat = foreign, .address = "tcp://127.0.0.1"}), "secret key"));
  ZmqSeat twice = seat;
  twice.public_keys[1] = twice.public_keys[0];
  CHECK(refused(ZmqMesh::open({.seat = twice, .address = "tcp://127.0.0.1"}), "one public key"));
}

TEST_CASE("zmq_mesh: ranks meet over IPv6") {
  const auto seats = seats_of(2);
  std::vector<std::shared_ptr<ZmqMesh>> meshes;
  std::vector<std::string> endpoints;
  for (const ZmqSeat& seat : seats) {
    auto opened = ZmqMesh::open({.seat = seat, .address = "tcp://[::1]"});
    if (!opened && opened.error().message.find("cannot open a socket") != std::string::npos) {
      return;  // A host without IPv6.
    }
    REQUIRE(opened);
    meshes.push_back(*opened);
    endpoints.push_back(meshes.back()->endpoint());
    CHECK(endpoints.back().rfind("tcp://[::1]:", 0) == 0);
  }
  const auto meet = [&](size_t rank) {
    CHECK(good(meshes[rank]->join(endpoints, soon())));
    CHECK(good(kernels::collective::communicator(meshes[rank], 0)->barrier(soon())));
  };
  std::thread other([&] { meet(1); });
  meet(0);
  other.join();
}

TEST_CASE("zmq_mesh: its folder is closed to others, and nothing is left in it") {
  const TempDir dir;
  {
    const auto mesh =
        open_mesh({.seat = seats_of(1)[0], .address = address_of(Transport::kIpc, dir)});
    struct stat about {};
    REQUIRE(::stat(dir.file("mesh").c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0700);
    CHECK(!std::filesystem::is_empty(dir.file("mesh")));
  }
  CHECK(std::filesystem::is_empty(dir.file("mesh")));
}

TEST_CASE("zmq_mesh: admitted is who has a key of this epoch and a rank above") {
  const auto seats = seats_of(3);
  const auto raw = [](const std::string& key) {
    std::string bytes(32, '\0');
    REQUIRE(zmq_z85_decode(reinterpret_cast<uint8_t*>(bytes.data()), key.c_str()) != nullptr);
    return bytes;
  };
  const std::string stranger = raw(seats_of(3)[2].public_keys[2]);
  const auto by_key = [&](const std::string& key) {
    return admitted(seats[1], ZmqTransport::kTcp, "CURVE", std::vector{key});
  };
  CHECK(by_key(raw(seats[1].public_keys[2])) == 2);
  CHECK(!by_key(raw(seats[1].public_keys[0])));  // Does not dial.
  CHECK(!by_key(raw(seats[1].public_keys[1])));
  CHECK(!by_key(stranger));
  CHECK(!by_key(""));
  const auto by_token = [&](const std::string& rank, const std::string& token) {
    return admitted(seats[1], ZmqTransport::kIpc, "PLAIN", std::vector{rank, token});
  };
  CHECK(by_token("2", seats[1].token) == 2);
  for (const char* rank : {"", "0", "1", "3", "-1", "2 ", "2x", "99999999999999999999"}) {
    CHECK(!by_token(rank, seats[1].token));
  }
  CHECK(!by_token("2", seats_of(3)[0].token));
  CHECK(!by_token("2", ""));
  // Neither way is open to the other transport, nor a third to any.
  const std::vector right = {std::string("2"), seats[1].token};
  CHECK(!admitted(seats[1], ZmqTransport::kTcp, "PLAIN", right));
  CHECK(!admitted(seats[1], ZmqTransport::kTcp, "NULL", {}));
  CHECK(!admitted(seats[1], ZmqTransport::kIpc, "NULL", {}));
  CHECK(
      !admitted(seats[1], ZmqTransport::kIpc, "CURVE", std::vector{raw(seats[1].public_keys[2])}));
}

// One who dials rank 0 with whatever keys, and says whatever he likes.
class Dialler {
 public:
  struct Keys {
    std::string server{}, open{}, secret{};
    std::string name{}, token{};
  };
  Dialler(const std::string& endpoint, const Keys& keys)
      : socket_(context_, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::sndhwm, 0);
    socket_.set(zmq::sockopt::reconnect_ivl, 5);  // It tries again and again.
    if (!keys.server.empty()) {
      socket_.set(zmq::sockopt::curve_serverkey, keys.server);
      socket_.set(zmq::sockopt::curve_publickey, keys.open);
      socket_.set(zmq::sockopt::curve_secretkey, keys.secret);
    }
    if (!keys.name.empty()) {
      socket_.set(zmq::sockopt::plain_username, keys.name);
      socket_.set(zmq::sockopt::plain_password, keys.token);
    }
    socket_.connect(endpoint);
  }

  void send(const std::vector<std::byte>& bytes) {
    socket_.send(zmq::buffer(bytes.data(), bytes.size()), zmq::send_flags::dontwait);
  }
  void send(const Frame& frame, std::span<const std::byte> payload = {}) {
    std::vector<std::byte> bytes(kFrameBytes + payload.size());
    encode(frame, std::span<std::byte, kFrameBytes>(bytes.data(), kFrameBytes));
    std::copy(payload.begin(), payload.end(), bytes.begin() + kFrameBytes);
    send(bytes);
  }
  void drain() {
    zmq::message_t message;
    while (socket_.recv(message, zmq::recv_flags::dontwait)) ++num_received;
  }
  size_t num_received = 0;

 private:
  zmq::context_t context_{1};
  zmq::socket_t socket_;
};

Frame hello_of(const ZmqSeat& seat) {
  return {.type = FrameType::kHello,
          .channel = 1,
          .rank = static_cast<uint32_t>(seat.rank),
          .count = static_cast<uint32_t>(seat.num_ranks()),
          .call = {.number = seat.epoch}};
}

TEST_CASE("zmq_mesh: nothing is taken from strangers and ranks of an older epoch") {
  for (const Transport transport : {Transport::kIpc, Transport::kTcp}) {
    CAPTURE(name_of(transport));
    const TempDir dir;
    const auto seats = seats_of(2, /*epoch=*/7), old = seats_of(2, /*epoch=*/6);
    const auto mesh = open_mesh({.seat = seats[0], .address = address_of(transport, dir)});
    const std::string endpoint = mesh->endpoint();
    const std::string& server = seats[0].public_keys[0];
    const std::vector<Dialler::Keys> strangers = {
        {},                                                            // No keys.
        {server, old[1].public_keys[1], old[1].secret_key, "", ""},    // An older epoch's.
        {server, seats[1].public_keys[1], old[1].secret_key, "", ""},  // Another's name.
        {"", "", "", "1", old[1].token},
        {"", "", "", "1", "x"},
        {"", "", "", "0", seats[0].token},
    };
    std::vector<std::unique_ptr<Dialler>> diallers;
    for (const auto& keys : strangers) {
      diallers.push_back(std::make_unique<Dialler>(endpoint, keys));
      for (int i = 0; i < 10; ++i) diallers.back()->send(hello_of(seats[1]));
    }
    // Over tcp only one of them comes so far that its key is looked at.
    const uint64_t num_refused = transport == Transport::kTcp ? 1 : 3;
    CHECK(eventually([&] { return mesh->counts().refused >= num_refused; }));
    // The team forms all the same, and works.
    std::thread other([&] {
      const auto member = open_mesh({.seat = seats[1], .address = address_of(transport, dir)});
      CHECK(good(member->join({endpoint, member->endpoint()}, soon())));
      const auto at = communicator(member, 0);
      for (int i = 0; i < 20; ++i) CHECK(good(at->barrier(soon())));
    });
    CHECK(good(mesh->join({endpoint, ""}, soon())));
    const auto at = communicator(mesh, 0);
    for (int i = 0; i < 20; ++i) CHECK(good(at->barrier(soon())));
    other.join();
    CHECK(mesh->counts().admitted == 1);
    CHECK(mesh->counts().frames >= 21);
    CHECK(mesh->counts().frames <= 22);  // A hello, barriers and a farewell of one rank.
    for (const auto& dialler : diallers) {
      dialler->drain();
      CHECK(dialler->num_received == 0);
    }
  }
}

TEST_CASE("zmq_mesh: the right keys do not let in a second one") {
  const TempDir dir;
  const auto seats = seats_of(2);
  const auto mesh = open_mesh({.seat = seats[0], .address = address_of(Transport::kTcp, dir)});
  const Dialler::Keys keys = {seats[0].public_keys[0], seats[1].public_keys[1], seats[1].secret_key,
                              "", ""};
  Dialler first(mesh->endpoint(), keys);
  first.send(hello_of(seats[1]));
  CHECK(good(mesh->join({mesh->endpoint(), ""}, soon())));
  Dialler second(mesh->endpoint(), keys);
  second.send(hello_of(seats[1]));
  CHECK(eventually([&] { return mesh->counts().refused >= 1; }));
  CHECK(mesh->counts().admitted == 1);
  CHECK(mesh->counts().frames == 1);
}

TEST_CASE("zmq_mesh: a rank that is dialled in vain is named") {
  const TempDir dir;
  const auto seats = seats_of(2), others = seats_of(2);
  {
    const auto mesh = open_mesh({.seat = seats[1], .address = address_of(Transport::kIpc, dir)});
    const Status joined = mesh->join({"ipc://" + dir.file("mesh/none"), mesh->endpoint()}, soon());
    REQUIRE(!joined);
    CHECK(joined.error().code == ErrorCode::kUnavailable);
    CHECK(joined.error().message.find("rank 0 is gone: it cannot be reached") == 0);
  }
  {
    // Somebody else listens there.
    const auto wrong = open_mesh({.seat = others[0], .address = address_of(Transport::kTcp, dir)});
    const auto mesh = open_mesh({.seat = seats[1], .address = address_of(Transport::kTcp, dir)});
    const Status joined =
        mesh->join({wrong->endpoint(), mesh->endpoint()}, after(milliseconds(300)));
    REQUIRE(!joined);
    CHECK(joined.error().code == ErrorCode::kUnavailable);
    CHECK(joined.error().message.find("rank 0") != std::string::npos);
  }
  {
    const auto mesh = open_mesh({.seat = seats[1], .address = address_of(Transport::kTcp, dir)});
    const Status joined = mesh->join({"ipc://" + dir.file("x"), mesh->endpoint()}, soon());
    REQUIRE(!joined);  // Without CURVE it would be.
    CHECK(joined.error().code == ErrorCode::kInvalidArgument);
  }
  {
    const auto mesh = open_mesh({.seat = seats[0], .address = address_of(Transport::kTcp, dir)});
    const Status joined = mesh->join({mesh->endpoint(), ""}, after(milliseconds(50)));
    REQUIRE(!joined);
    CHECK(joined.error().message == "rank 1 has not joined in time");
  }
}

TEST_CASE("zmq_mesh: a member that speaks nonsense ends the team by name, whatever it says") {
  std::mt19937 random(5);
  const TempDir dir;
  int ended = 0;
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const auto seats = seats_of(2);
    const auto mesh = open_mesh({.seat = seats[0], .address = address_of(Transport::kIpc, dir)});
    Dialler member(mesh->endpoint(), {"", "", "", "1", seats[1].token});
    member.send(hello_of(seats[1]));
    REQUIRE(mesh->join({mesh->endpoint(), ""}, soon()));
    for (int i = 0; i < 200; ++i) {
      std::vector<std::byte> bytes(random() % 3 == 0 ? 64 : random() % 300);
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
      if (bytes.size() >= 8 && random() % 2 == 0) {
        // A magic and a type, and then what comes.
        encode({.type = FrameType{static_cast<uint8_t>(2 + random() % 4)}},
               std::span<std::byte, kFrameBytes>((bytes.resize(64), bytes.data()), kFrameBytes));
        bytes[8 + random() % 56] = static_cast<std::byte>(random() % 3);
      }
      member.send(bytes);
    }
    std::vector<std::byte> mine(10'000), theirs(10'000);
    const std::vector<Part> to = {part_of(mine), part_of(theirs)};
    const Status status = communicator(mesh, 0)->all_gather(nullptr, part_of(mine), to, soon());
    REQUIRE(!status);
    CHECK(status.error().code != ErrorCode::kInvalidArgument);
    CHECK(status.error().message.find("rank 1") != std::string::npos);
    CHECK(std::all_of(theirs.begin(), theirs.end(),
                      [](std::byte byte) { return byte == std::byte{0}; }));
    ++ended;
  }
  CHECK(ended == 20);
}

TEST_CASE("zmq_mesh: a member cannot have more sent or kept than the call allows") {
  const TempDir dir;
  const auto seats = seats_of(2);
  const auto mesh = open_mesh({.seat = seats[0], .address = address_of(Transport::kIpc, dir)});
  Dialler member(mesh->endpoint(), {"", "", "", "1", seats[1].token});
  member.send(hello_of(seats[1]));
  REQUIRE(mesh->join({mesh->endpoint(), ""}, soon()));
  const int ranks[] = {0, 1};
  // An exchange of at most 1,000 bytes, of which it claims 2^45.
  member.send({.type = FrameType::kBegin,
               .call = {.kind = Collective::kExchange,
                        .group = group_of(ranks),
                        .argument = 1'000,
                        .sends = uint64_t{1} << 45,
                        .expects = kAnyBytes}});
  const auto exchanged = communicator(mesh, 0)->exchange({}, 1'000, soon());
  REQUIRE(!exchanged);
  CHECK(exchanged.error().code == ErrorCode::kInternal);
  CHECK(exchanged.error().message.find("rank 1 calls exchange") != std::string::npos);
}

TEST_CASE("zmq_mesh: bytes that are no handshake change nothing") {
  std::mt19937 random(11);
  for (const Transport transport : {Transport::kIpc, Transport::kTcp}) {
    const TempDir dir;
    const auto seats = seats_of(2);
    const auto mesh = open_mesh({.seat = seats[0], .address = address_of(transport, dir)});
    const std::string endpoint = mesh->endpoint();
    for (int i = 0; i < 200; ++i) {
      int raw = -1;
      if (transport == Transport::kIpc) {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        endpoint.copy(address.sun_path, sizeof(address.sun_path) - 1, 6);
        raw = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(::connect(raw, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
      } else {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port =
            htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        raw = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(::connect(raw, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
      }
      std::string bytes(
          "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00"
          "CURVE",
          17);
      bytes.resize(random() % 2 == 0 ? 64 : random() % 64, '\0');
      for (size_t extra = random() % 300; extra > 0; --extra) {
        bytes += static_cast<char>(random());
      }
      (void)!::send(raw, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ::close(raw);
    }
    std::thread other([&] {
      const auto member = open_mesh({.seat = seats[1], .address = address_of(transport, dir)});
      CHECK(good(member->join({endpoint, member->endpoint()}, soon())));
      CHECK(good(communicator(member, 0)->barrier(soon())));
    });
    CHECK(good(mesh->join({endpoint, ""}, soon())));
    CHECK(good(communicator(mesh, 0)->barrier(soon())));
    other.join();
    CHECK(mesh->counts().admitted == 1);
    CHECK(mesh->counts().frames <= 3);
  }
}

}  // namespace
}  // namespace troupe::kernels::collective
