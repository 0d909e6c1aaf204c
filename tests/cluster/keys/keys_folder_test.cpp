#include "cluster/keys/keys_folder.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/cluster/keys/key_parts.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using tests::contents;
using tests::write_text;

mode_t mode_of(const std::string& path) {
  struct stat about {};
  REQUIRE(::lstat(path.c_str(), &about) == 0);
  return about.st_mode & 0777;
}

TEST_CASE("keys folder: what is made is closed to others and read again") {
  tests::HeadKeys head;
  CHECK(mode_of(head.folder()) == 0700);
  CHECK(mode_of(head.folder() + "/head.key") == 0600);
  const KeyFile alice = head.add_user("alice");
  const KeyFile node = head.add_node("gpu-7");
  CHECK(mode_of(head.key_path("alice")) == 0600);
  CHECK(mode_of(allowed_path(head.folder(), "alice")) == 0600);
  CHECK(alice.kind == KeyKind::kUser);
  CHECK(alice.name == "alice");
  CHECK(alice.head_key == read_head_keys(head.folder())->public_key);
  CHECK(node.kind == KeyKind::kNode);
  CHECK(node.keys.secret_key != alice.keys.secret_key);

  head.add_operator("olga");
  const auto keys = list_keys(head.folder());
  REQUIRE(keys);
  REQUIRE(keys->size() == 3);
  CHECK((*keys)[0].identity == Identity{.kind = KeyKind::kUser, .name = "alice"});
  CHECK((*keys)[1].identity == Identity{.kind = KeyKind::kNode, .name = "gpu-7"});
  CHECK((*keys)[2].identity ==
        Identity{.kind = KeyKind::kUser, .name = "olga", .is_operator = true});
  CHECK(text_of((*keys)[0].key) == alice.keys.public_key);
  // The head keeps nobody's secret but its own.
  CHECK(contents(allowed_path(head.folder(), "alice")).find(alice.keys.secret_key) ==
        std::string::npos);
}

TEST_CASE("keys folder: nothing is written over") {
  tests::HeadKeys head;
  const std::string before = contents(head.folder() + "/head.key");
  CHECK(init_keys(head.folder()).error().code == ErrorCode::kInvalidArgument);
  CHECK(contents(head.folder() + "/head.key") == before);

  write_text(head.key_path("bob"), "mine");
  const auto in_the_way = add_key(head.folder(), {.name = "bob"}, head.key_path("bob"));
  CHECK(in_the_way.error().code == ErrorCode::kInvalidArgument);
  CHECK(in_the_way.error().message.find("bob.key is there already") != std::string::npos);
  CHECK(contents(head.key_path("bob")) == "mine");
  CHECK(list_keys(head.folder())->empty());

  head.add_user("alice");
  const auto twice =
      add_key(head.folder(), {.kind = KeyKind::kNode, .name = "alice"}, head.key_path("alice2"));
  CHECK(twice.error().message.find("alice has a key already") != std::string::npos);
  CHECK(!std::filesystem::exists(head.key_path("alice2")));
  // Nothing unfinished lies around.
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(head.folder())) {
    CAPTURE(entry.path().string());
    ++files;
  }
  CHECK(files == 2);
}

TEST_CASE("keys folder: a name is lower-case letters, digits and hyphens") {
  for (const std::string& name : {std::string("a"), std::string("gpu-7"), std::string(63, 'z')}) {
    CHECK(is_identity_name(name));
  }
  for (const std::string& name :
       {std::string(), std::string("A"), std::string("a.b"), std::string("../a"), std::string("-a"),
        std::string("a b"), std::string("\xc3\xa4"), std::string(64, 'z'), std::string("a\0", 2)}) {
    CAPTURE(name);
    CHECK(!is_identity_name(name));
    tests::HeadKeys head;
    CHECK(add_key(head.folder(), {.name = name}, head.key_path("x")).error().code ==
          ErrorCode::kInvalidArgument);
    CHECK(!std::filesystem::exists(head.key_path("x")));
  }
}

TEST_CASE("keys folder: what is open to others is refused") {
  tests::HeadKeys head;
  head.add_user("alice");
  ::chmod(head.key_path("alice").c_str(), 0640);
  const auto file = read_key_file(head.key_path("alice"));
  CHECK(file.error().code == ErrorCode::kInvalidArgument);
  CHECK(file.error().message.find("chmod 600") != std::string::npos);

  ::chmod(allowed_path(head.folder(), "alice").c_str(), 0644);
  CHECK(list_keys(head.folder()).error().message.find("chmod 600") != std::string::npos);
  ::chmod(head.folder().c_str(), 0755);
  CHECK(read_head_keys(head.folder()).error().message.find("chmod 700") != std::string::npos);
  CHECK(!KeyRing::open({.folder = head.folder()}));
}

TEST_CASE("keys folder: each damage to a file is a line that names it") {
  tests::HeadKeys head;
  const KeyFile alice = head.add_user("alice");
  const std::string path = allowed_path(head.folder(), "alice");
  const std::string key = alice.keys.public_key;
  const auto fault = [&](const std::string& text) {
    write_text(path, text);
    const auto keys = list_keys(head.folder());
    REQUIRE(!keys);
    CHECK(keys.error().code == ErrorCode::kInvalidArgument);
    CHECK(keys.error().message.rfind(path, 0) == 0);
    CHECK(keys.error().message.find('\n') == std::string::npos);
    return keys.error().message.substr(path.size());
  };
  const std::string names = "kind = \"user\"\nname = \"alice\"\n";
  const std::string public_key = "public_key = \"" + key + "\"\n";
  CHECK(fault("") == ": kind is missing");
  CHECK(fault("kind = 3\n") == ":1: kind is no text in quotes");
  CHECK(fault("kind = \"user\"\nname\n").rfind(":2: ", 0) == 0);
  CHECK(fault(names + public_key) == ": a user has a role, and a node has none");
  CHECK(fault(names + public_key + "role = \"king\"\n") ==
        ": role is \"king\" and may be user or operator");
  CHECK(fault(names + public_key + "role = \"user\"\nsecret_key = \"x\"\n") ==
        ": secret_key has no place in it");
  CHECK(fault(names + "public_key = \"short\"\nrole = \"user\"\n") ==
        ": public_key is no key of CURVE");
  CHECK(fault(names + "public_key = \"" + std::string(40, '~') + "\"\nrole = \"user\"\n") ==
        ": public_key is no key of CURVE");
  CHECK(fault("kind = \"user\"\nname = \"bob\"\nrole = \"user\"\n" + public_key)
            .find("it is the file of a \"bob\"") != std::string::npos);
  CHECK(fault(std::string(kKeyFileBytesMax + 1, '#')).find("has more than the") !=
        std::string::npos);
  // One key in two files would be two names.
  write_text(path, names + "role = \"user\"\n" + public_key);
  write_text(allowed_path(head.folder(), "bob"),
             "kind = \"user\"\nname = \"bob\"\nrole = \"operator\"\n" + public_key);
  ::chmod(allowed_path(head.folder(), "bob").c_str(), 0600);
  CHECK(list_keys(head.folder()).error().message.find("have one key") != std::string::npos);
}

TEST_CASE("keys folder: who is revoked is no longer there, also where the file was damaged") {
  tests::HeadKeys head;
  head.add_user("alice");
  head.add_node("gpu-7");
  CHECK(revoke_key(head.folder(), "alic").error().message.find("alice, gpu-7") !=
        std::string::npos);
  CHECK(revoke_key(head.folder(), "../keys/alice").error().code == ErrorCode::kInvalidArgument);
  REQUIRE(revoke_key(head.folder(), "alice"));
  CHECK(list_keys(head.folder())->size() == 1);
  write_text(allowed_path(head.folder(), "gpu-7"), "no TOML");
  CHECK(revoke_key(head.folder(), "gpu-7")->name == "gpu-7");
  CHECK(list_keys(head.folder())->empty());
  std::filesystem::remove(head.key_path("gpu-7"));
  head.add_user("gpu-7");
}

TEST_CASE("keys folder: a missing one says how it is made") {
  const tests::TempDir dir;
  CHECK(read_head_keys(dir.file("none")).error().message ==
        "there are no keys in " + dir.file("none") + "; make them with: troupe keys init --keys " +
            dir.file("none"));
  CHECK(read_head_keys("").error().message.find("--keys DIR") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
