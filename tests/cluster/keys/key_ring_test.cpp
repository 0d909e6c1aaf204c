#include "cluster/keys/key_ring.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <vector>

#include "tests/cluster/keys/key_parts.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using tests::HeadKeys;

PublicKey key_of(const KeyFile& file) { return *public_key_of(file.keys.public_key); }

TEST_CASE("key ring: knows whose a key is, and nobody else") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto olga = head.add_operator("olga");
  const auto node = head.add_node("gpu-7");
  const auto ring = head.ring();
  CHECK(ring->find(key_of(alice)) == Identity{.name = "alice"});
  CHECK(ring->find(key_of(olga)) == Identity{.name = "olga", .is_operator = true});
  CHECK(ring->find(key_of(node)) == Identity{.kind = KeyKind::kNode, .name = "gpu-7"});
  CHECK(!ring->find(key_of(head.stranger())));
  CHECK(!ring->find(PublicKey{}));
  CHECK(ring->head_keys().public_key == alice.head_key);
}

TEST_CASE("key ring: the folder is looked at again when its time has come") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto ring = head.ring();
  const auto start = std::chrono::steady_clock::now();
  CHECK(ring->find(key_of(alice), start));
  REQUIRE(revoke_key(head.folder(), "alice"));
  const auto bob = head.add_user("bob");
  CHECK(ring->find(key_of(alice), start + 999ms));
  CHECK(!ring->find(key_of(bob), start + 999ms));
  CHECK(!ring->find(key_of(alice), start + 1s));
  CHECK(ring->find(key_of(bob), start + 1s));
}

TEST_CASE("key ring: a new key of a name is the name's, the old one is nobody's") {
  HeadKeys head;
  const auto before = head.add_user("alice");
  const auto ring = head.watchful_ring();
  CHECK(ring->find(key_of(before)));
  REQUIRE(revoke_key(head.folder(), "alice"));
  std::filesystem::remove(head.key_path("alice"));
  const auto after = head.add_operator("alice");
  CHECK(!ring->find(key_of(before)));
  CHECK(ring->find(key_of(after))->is_operator);
}

TEST_CASE("key ring: damage lets nobody in by that file, and is said once") {
  HeadKeys head;
  const auto alice = head.add_user("alice");
  const auto bob = head.add_user("bob");
  std::vector<std::string> lines;
  const auto ring = head.ring(
      {.look_every = 0ms, .noted = [&](const std::string& line) { lines.push_back(line); }});
  CHECK(ring->find(key_of(alice)));
  tests::write_text(allowed_path(head.folder(), "alice"), "kind = ");
  CHECK(!ring->find(key_of(alice)));
  CHECK(!ring->find(key_of(alice)));
  CHECK(ring->find(key_of(bob)));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("alice.pub:1") != std::string::npos);

  // A copy of bob's file under another name: it cannot be told who that is.
  tests::write_text(allowed_path(head.folder(), "alice"),
                    "kind = \"user\"\nname = \"alice\"\nrole = \"operator\"\npublic_key = \"" +
                        bob.keys.public_key + "\"\n");
  CHECK(!ring->find(key_of(bob)));
  CHECK(lines.size() == 2);
  REQUIRE(revoke_key(head.folder(), "alice"));
  CHECK(ring->find(key_of(bob)));

  // Open to others: somebody else may have put files there.
  ::chmod(head.folder().c_str(), 0777);
  CHECK(!ring->find(key_of(bob)));
  CHECK(lines.size() == 3);
  ::chmod(head.folder().c_str(), 0700);
  CHECK(ring->find(key_of(bob)));
}

TEST_CASE("key ring: what is damaged from the start is an error") {
  HeadKeys head;
  head.add_user("alice");
  tests::write_text(allowed_path(head.folder(), "alice"), "kind = ");
  const auto ring = KeyRing::open({.folder = head.folder()});
  REQUIRE(!ring);
  CHECK(ring.error().code == ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace troupe::cluster
