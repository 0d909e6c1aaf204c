#include "cluster/daemon/credentials.h"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "actors/transport.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

struct Free {
  void operator()(X509* x) const { X509_free(x); }
  void operator()(X509_STORE* x) const { X509_STORE_free(x); }
  void operator()(X509_STORE_CTX* x) const { X509_STORE_CTX_free(x); }
  void operator()(std::FILE* x) const { std::fclose(x); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<X509> certificate(const std::string& path) {
  const Owned<std::FILE> file(std::fopen(path.c_str(), "r"));
  REQUIRE(file);
  Owned<X509> read(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  REQUIRE(read);
  return read;
}

bool is_signed_by(X509* node, X509* authority, int purpose) {
  const Owned<X509_STORE> store(X509_STORE_new());
  REQUIRE(X509_STORE_add_cert(store.get(), authority) == 1);
  const Owned<X509_STORE_CTX> context(X509_STORE_CTX_new());
  REQUIRE(X509_STORE_CTX_init(context.get(), store.get(), node, nullptr) == 1);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context.get()), X509_V_FLAG_X509_STRICT);
  return X509_verify_cert(context.get()) == 1;
}

mode_t mode_of(const std::string& path) {
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 07777;
}

TEST_CASE("credentials: the node is signed by the authority for both ends of a connection") {
  const tests::TempDir dir;
  const std::string folder = dir.file("tls");
  REQUIRE(make_credentials(folder));
  const auto authority = certificate(folder + "/ca.pem");
  const auto node = certificate(folder + "/node.pem");
  CHECK(is_signed_by(node.get(), authority.get(), X509_PURPOSE_SSL_SERVER));
  CHECK(is_signed_by(node.get(), authority.get(), X509_PURPOSE_SSL_CLIENT));
  CHECK(X509_check_ca(authority.get()) == 1);
  CHECK(X509_check_ca(node.get()) == 0);
  CHECK(X509_cmp_time(X509_get0_notBefore(node.get()), nullptr) < 0);
  CHECK(actors::check_credentials(folder));
}

TEST_CASE("credentials: only the owner can read them, and the authority's key is nowhere") {
  const tests::TempDir dir;
  const std::string folder = dir.file("tls");
  REQUIRE(make_credentials(folder));
  CHECK(mode_of(folder) == 0700);
  CHECK(mode_of(folder + "/node.key") == 0600);
  const auto files = tests::tree(folder);
  CHECK(files ==
        std::vector<std::string>{folder + "/ca.pem", folder + "/node.key", folder + "/node.pem"});
  CHECK(tests::contents(folder + "/ca.pem").find("PRIVATE") == std::string::npos);
}

TEST_CASE("credentials: two runs do not trust each other") {
  const tests::TempDir dir;
  REQUIRE(make_credentials(dir.file("a")));
  REQUIRE(make_credentials(dir.file("b")));
  const auto a = certificate(dir.file("a") + "/node.pem");
  const auto a_authority = certificate(dir.file("a") + "/ca.pem");
  const auto b_authority = certificate(dir.file("b") + "/ca.pem");
  CHECK(is_signed_by(a.get(), a_authority.get(), X509_PURPOSE_SSL_SERVER));
  CHECK_FALSE(is_signed_by(a.get(), b_authority.get(), X509_PURPOSE_SSL_SERVER));
  CHECK(ASN1_INTEGER_cmp(X509_get0_serialNumber(a_authority.get()),
                         X509_get0_serialNumber(b_authority.get())) != 0);
}

TEST_CASE("credentials: new ones replace old ones; an open folder is refused and left alone") {
  const tests::TempDir dir;
  const std::string folder = dir.file("tls");
  REQUIRE(make_credentials(folder));
  const std::string old_key = tests::contents(folder + "/node.key");
  REQUIRE(make_credentials(folder));
  CHECK(tests::contents(folder + "/node.key") != old_key);
  CHECK(actors::check_credentials(folder));

  const std::string open_folder = dir.file("open");
  std::filesystem::create_directory(open_folder);
  REQUIRE(::chmod(open_folder.c_str(), 0755) == 0);
  const Status refused = make_credentials(open_folder);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  CHECK(refused.error().message.find("chmod 700") != std::string::npos);
  CHECK(tests::tree(open_folder).empty());
}

TEST_CASE("credentials: a node is told when its files are missing or do not belong together") {
  const tests::TempDir dir;
  REQUIRE(make_credentials(dir.file("a")));
  REQUIRE(make_credentials(dir.file("b")));
  CHECK_FALSE(actors::check_credentials(dir.file("nowhere")));
  std::filesystem::copy_file(dir.file("a") + "/node.key", dir.file("b") + "/node.key",
                             std::filesystem::copy_options::overwrite_existing);
  const Status mixed = actors::check_credentials(dir.file("b"));
  REQUIRE_FALSE(mixed);
  CHECK(mixed.error().message.find("node.key") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
