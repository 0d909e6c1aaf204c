// Copies that nodes read from each other: a head's service, and nodes with their doors, readers and
// movers over real sockets.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <random>
#include <vector>
#include <zmq.hpp>

#include "cluster/keys/curve_socket.h"
#include "cluster/nodes/file_mover.h"
#include "cluster/nodes/file_service.h"
#include "cluster/nodes/file_time.h"
#include "cluster/nodes/link_socket.h"
#include "cluster/nodes/peer_door.h"
#include "schemas/node_codec.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;
using namespace std::chrono_literals;

namespace fs = std::filesystem;

namespace {

std::string random_text(size_t bytes) {
  std::mt19937_64 random(bytes);
  std::string text(bytes, '\0');
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(text.data() + i, &word, sizeof(word));
  }
  return text;
}

struct Head {
  TempDir dir{};
  std::atomic<uint64_t> bytes_read{0};  // By nodes.
  FileService service{};

  Head() { service.allow(7, dir.file("job"), {dir.file("model")}); }
};

struct Node {
  Head& head;
  std::string name;
  TempDir dir{};
  KeyFile key{};
  CopyShelf shelf{};
  std::unique_ptr<PeerDoor> door{};
  std::unique_ptr<FileMover> mover{};
  std::promise<Status> done{};

  Node(Head& with, std::string called) : head(with), name(std::move(called)) {
    key = {.kind = KeyKind::kNode, .name = name, .keys = *make_curve_keys()};
    auto opened = PeerDoor::open("127.0.0.1", shelf);
    REQUIRE(opened);
    door = std::move(*opened);
    mover = std::make_unique<FileMover>(
        [this](FileRequest request) {
          const bool reads = std::holds_alternative<ReadFile>(request.what);
          head.service.ask(name, std::move(request), [this, reads](FileReply reply) {
            if (reads) head.bytes_read += reply.bytes.size();
            mover->answered(std::move(reply));
          });
        },
        "node " + name, FileMover::Peers{.key = key, .shelf = &shelf});
    head.service.node_up(name, source());
  }
  ~Node() {
    mover.reset();
    door.reset();
  }

  CopySource source() const {
    return {.node = name, .address = "127.0.0.1", .port = door->port(), .key = door->key()};
  }
  std::future<Status> fetch(const std::string& what) {
    done = {};
    mover->fetch(7, {{head.dir.file(what), dir.file(what)}},
                 [this](Status status) { done.set_value(std::move(status)); });
    return done.get_future();
  }
};

// A head with so many nodes that know of each other.
struct Cluster {
  Head head{};
  std::vector<std::unique_ptr<Node>> nodes{};

  explicit Cluster(int count) {
    for (int i = 0; i < count; ++i) {
      nodes.push_back(std::make_unique<Node>(head, fmt::format("n{}", i)));
    }
    for (const auto& one : nodes) {
      for (const auto& other : nodes) one->door->let_in(other->name, other->key.keys.public_key);
    }
  }
  std::string make(const std::string& name, size_t bytes) {
    const std::string text = random_text(bytes);
    fs::create_directories(fs::path(head.dir.file(name)).parent_path());
    write_text(head.dir.file(name), text);
    return text;
  }
  FileVersion version(const std::string& name) const {
    const auto stamp = stamp_of(head.dir.file(name));
    return {head.dir.file(name), stamp->bytes, stamp->modified_ns};
  }
};

// A connection with some key, as a program of anybody's makes one.
class Stranger {
 public:
  Stranger(const CopySource& source, const CurveKeys& keys)
      : dealer_(context_, zmq::socket_type::dealer) {
    set_link_limits(dealer_);
    set_curve_client(dealer_, {.keys = keys, .head_key = source.key});
    dealer_.connect(fmt::format("tcp://127.0.0.1:{}", source.port));
  }
  void send(const std::vector<std::byte>& bytes) {
    send_link_frame(dealer_, std::nullopt, {}, bytes);
  }
  // How much came within that time.
  size_t bytes_within(std::chrono::milliseconds time) {
    size_t bytes = 0;
    std::vector<zmq::message_t> frames;
    dealer_.set(zmq::sockopt::rcvtimeo, static_cast<int>(time.count()));
    zmq::message_t frame;
    while (dealer_.recv(frame)) bytes += frame.size();
    return bytes;
  }

 private:
  zmq::context_t context_{};
  zmq::socket_t dealer_;
};

FromNode ask_for(const FileVersion& file, uint64_t offset) {
  return FileRequest{.request_id = 1,
                     .what = ReadCopy{.file = file, .offset = offset, .size = kFilePartBytes}};
}

}  // namespace

TEST_CASE("peers: eight nodes that want a file at once take it from the head three times at most") {
  Cluster cluster(8);
  const std::string text = cluster.make("model/weights", (24 << 20) + 5);
  std::vector<std::future<Status>> fetched;
  for (const auto& node : cluster.nodes) fetched.push_back(node->fetch("model/weights"));
  uint64_t from_peers = 0;
  for (size_t i = 0; i < cluster.nodes.size(); ++i) {
    REQUIRE(fetched[i].get());
    CHECK(contents(cluster.nodes[i]->dir.file("model/weights")) == text);
    from_peers += cluster.nodes[i]->mover->bytes_from_peers();
  }
  CHECK(from_peers + cluster.head.bytes_read == 8 * text.size());
  CHECK(cluster.head.bytes_read <= 3 * text.size());
}

TEST_CASE("peers: a file that a node has does not come from the head again") {
  Cluster cluster(2);
  const std::string text = cluster.make("model/weights", (3 << 20) + 1);
  REQUIRE(cluster.nodes[0]->fetch("model/weights").get());
  CHECK(cluster.head.bytes_read == text.size());
  REQUIRE(cluster.nodes[1]->fetch("model/weights").get());
  CHECK(cluster.head.bytes_read == text.size());
  CHECK(contents(cluster.nodes[1]->dir.file("model/weights")) == text);
  // A small file is not worth the way.
  cluster.make("model/config", 100);
  REQUIRE(cluster.nodes[0]->fetch("model/config").get());
  REQUIRE(cluster.nodes[1]->fetch("model/config").get());
  CHECK(cluster.head.bytes_read == text.size() + 200);
}

TEST_CASE("peers: what a node has spoilt is found by the head's digests and taken elsewhere") {
  Cluster cluster(2);
  const std::string text = cluster.make("model/weights", (5 << 20) + 1);
  REQUIRE(cluster.nodes[0]->fetch("model/weights").get());
  std::string spoilt = text;
  spoilt[(4 << 20) + 77] ^= 1;
  write_text(cluster.nodes[0]->dir.file("model/weights"), spoilt);
  REQUIRE(cluster.nodes[1]->fetch("model/weights").get());
  CHECK(contents(cluster.nodes[1]->dir.file("model/weights")) == text);
  CHECK(cluster.head.bytes_read > text.size());
}

TEST_CASE("peers: a node that ends, or hangs, in the middle of it is left for another source") {
  Cluster cluster(3);
  const std::string text = cluster.make("model/weights", (12 << 20) + 1);
  Node& first = *cluster.nodes[0];
  // It says that it is about to have the file, and two parts of it are there.
  const std::string unfinished = first.dir.file("unfinished");
  write_text(unfinished, text.substr(0, 2 << 20));
  first.shelf.begin(cluster.version("model/weights"), unfinished);
  first.shelf.grew(cluster.version("model/weights"), 2 << 20);
  cluster.head.service.ask(first.name,
                           {.job = 7, .what = HaveFile{cluster.version("model/weights")}},
                           [](const FileReply&) {});
  auto second = cluster.nodes[1]->fetch("model/weights");
  SUBCASE("it ends") { first.door.reset(); }
  SUBCASE("it hangs") {}
  REQUIRE(second.get());
  CHECK(contents(cluster.nodes[1]->dir.file("model/weights")) == text);
  // The next one is not sent to it in vain: the second has it.
  first.shelf.give_up(cluster.version("model/weights"));
  REQUIRE(cluster.nodes[2]->fetch("model/weights").get());
  CHECK(contents(cluster.nodes[2]->dir.file("model/weights")) == text);
}

TEST_CASE("peers: strangers, and who was let in before, get nothing") {
  Cluster cluster(1);
  cluster.make("model/weights", 3 << 20);
  Node& node = *cluster.nodes[0];
  REQUIRE(node.fetch("model/weights").get());
  const FileVersion file = cluster.version("model/weights");
  const CurveKeys friends = *make_curve_keys();
  node.door->let_in("other", friends.public_key);
  Stranger one(node.source(), friends);
  one.send(encode(ask_for(file, 0)));
  CHECK(one.bytes_within(2s) > kFilePartBytes);
  node.door->shut_out("other");
  one.send(encode(ask_for(file, 0)));
  CHECK(one.bytes_within(500ms) == 0);
  Stranger again(node.source(), friends);
  again.send(encode(ask_for(file, 0)));
  Stranger other(node.source(), *make_curve_keys());
  other.send(encode(ask_for(file, 0)));
  node.door->let_in("none", "this is no key");
  CHECK(again.bytes_within(500ms) == 0);
  CHECK(other.bytes_within(500ms) == 0);
}

TEST_CASE(
    "peers: a node reads what is a copy of the head's, and bytes that mean nothing do nothing") {
  Cluster cluster(1);
  cluster.make("model/weights", 3 << 20);
  Node& node = *cluster.nodes[0];
  REQUIRE(node.fetch("model/weights").get());
  const FileVersion file = cluster.version("model/weights");
  const CurveKeys friends = *make_curve_keys();
  node.door->let_in("other", friends.public_key);
  Stranger one(node.source(), friends);
  write_text(node.dir.file("secret"), std::string(2 << 20, 's'));
  const uint64_t size = 2 << 20;
  one.send(encode(ask_for({node.dir.file("secret"), size, 0}, 0)));
  one.send(encode(ask_for({file.path, file.bytes, file.modified_ns + 1}, 0)));
  one.send(encode(ask_for(file, UINT64_MAX - 5)));
  CHECK(one.bytes_within(500ms) < 4096);  // Three errors.
  std::mt19937 random(1);
  const std::vector<std::byte> right = encode(ask_for(file, 0));
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes = right;
    for (int flips = 0; flips < 1 + i % 5; ++flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    // Whoever asks for the file itself gets it, so ask for nothing of it.
    const auto message = decode_from_node(bytes);
    const auto* request = message ? std::get_if<FileRequest>(&*message) : nullptr;
    const auto* copy = request ? std::get_if<ReadCopy>(&request->what) : nullptr;
    if (copy != nullptr && copy->file == file) continue;
    one.send(bytes);
  }
  Stranger good(node.source(), friends);
  good.send(encode(ask_for(file, 0)));
  CHECK(good.bytes_within(3s) > kFilePartBytes);
}
