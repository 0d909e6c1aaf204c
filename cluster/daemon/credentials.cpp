#include "cluster/daemon/credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "actors/credential_files.h"

namespace troupe::cluster {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// A library that cannot sign is nothing a caller can react to.
Error failed(const char* what) {
  char reason[256] = {};
  ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
  ERR_clear_error();
  return {ErrorCode::kInternal, fmt::format("cannot {}: {}", what, reason)};
}

Error failed(const char* what, const std::string& path) {
  return {ErrorCode::kInternal, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno))};
}

struct Extension {
  int id = 0;
  const char* value = nullptr;
};

// `issuer` is `certificate` itself for the authority.
bool add_extension(X509* certificate, X509* issuer, const Extension& extension) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> made(
      X509V3_EXT_conf_nid(nullptr, &context, extension.id, extension.value));
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool set_random_serial(X509* certificate) {
  // The top bit stays clear only because the encoding is signed; 127 random bits are below it.
  const Owned<BIGNUM> serial(BN_new());
  return serial && BN_rand(serial.get(), 128, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_name(X509* certificate, const char* name) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(name), -1, -1, 0) == 1;
}

bool set_validity(X509* certificate) {
  // A day back, because the clocks of two hosts differ.
  return X509_time_adj_ex(X509_getm_notBefore(certificate), -1, 0, nullptr) != nullptr &&
         X509_time_adj_ex(X509_getm_notAfter(certificate), 3650, 0, nullptr) != nullptr;
}

struct Signer {
  X509* certificate = nullptr;  // Null: the new one signs itself.
  EVP_PKEY* key = nullptr;
};

template <size_t N>
Owned<X509> make_certificate(const char* name, EVP_PKEY* key, const Signer& signer,
                             const Extension (&extensions)[N]) {
  Owned<X509> made(X509_new());
  if (!made) return nullptr;
  X509* const issuer = signer.certificate != nullptr ? signer.certificate : made.get();
  const bool is_filled = X509_set_version(made.get(), X509_VERSION_3) == 1 &&
                         set_random_serial(made.get()) && set_name(made.get(), name) &&
                         set_validity(made.get()) && X509_set_pubkey(made.get(), key) == 1 &&
                         X509_set_issuer_name(made.get(), X509_get_subject_name(issuer)) == 1;
  if (!is_filled) return nullptr;
  for (const Extension& extension : extensions) {
    if (!add_extension(made.get(), issuer, extension)) return nullptr;
  }
  if (X509_sign(made.get(), signer.key, EVP_sha256()) == 0) return nullptr;
  return made;
}

// The text that `write(bio)` writes; empty when it fails.
template <class WritePem>
std::string pem(WritePem write) {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

Status prepare_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0) return ok();
  if (errno != EEXIST) return failed("create", folder);
  struct stat found {};
  if (::lstat(folder.c_str(), &found) != 0) return failed("read", folder);
  if (!S_ISDIR(found.st_mode)) return invalid_argument(folder + " is not a folder");
  if (found.st_uid != ::geteuid()) {
    return invalid_argument(folder + " belongs to another user; remove it or name another folder");
  }
  if ((found.st_mode & 077) != 0) {
    return invalid_argument(
        fmt::format("{} is open to other users and would hold a key; chmod 700 it", folder));
  }
  return ok();
}

// Not synced: after a power failure the run that needs these is gone too.
Status write_private(const std::string& path, std::string_view text) {
  // A new file every time: an old one may be open elsewhere or have other permissions.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("replace", path);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed("create", path);
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const Error error = failed("write", path);
      ::close(file);
      return error;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (::close(file) != 0) return failed("write", path);
  return ok();
}

}  // namespace

Status make_credentials(const std::string& folder) {
  if (Status status = prepare_folder(folder); !status) return status;

  const Owned<EVP_PKEY> authority_key(EVP_EC_gen("P-256"));
  const Owned<EVP_PKEY> node_key(EVP_EC_gen("P-256"));
  if (!authority_key || !node_key) return failed("make a P-256 key");

  constexpr Extension kAuthorityExtensions[] = {
      {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
      {NID_key_usage, "critical,keyCertSign,cRLSign"},
      {NID_subject_key_identifier, "hash"}};
  const Owned<X509> authority = make_certificate(
      "troupe authority", authority_key.get(), {.key = authority_key.get()}, kAuthorityExtensions);
  if (!authority) return failed("make the authority's certificate");

  constexpr Extension kNodeExtensions[] = {{NID_basic_constraints, "critical,CA:FALSE"},
                                           {NID_key_usage, "critical,digitalSignature"},
                                           {NID_ext_key_usage, "serverAuth,clientAuth"},
                                           {NID_subject_key_identifier, "hash"},
                                           {NID_authority_key_identifier, "keyid:always"}};
  const Owned<X509> node = make_certificate(
      "troupe node", node_key.get(), {.certificate = authority.get(), .key = authority_key.get()},
      kNodeExtensions);
  if (!node) return failed("make the node's certificate");

  const auto certificate_pem = [](X509* certificate) {
    return pem([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
  };
  std::string key_text = pem([&node_key](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, node_key.get(), nullptr, nullptr, 0, nullptr,
                                         nullptr);
  });
  const std::pair<const char*, std::string> files[] = {
      {actors::kAuthorityFile, certificate_pem(authority.get())},
      {actors::kCertificateFile, certificate_pem(node.get())},
      {actors::kKeyFile, std::move(key_text)}};
  for (const auto& [name, text] : files) {
    if (text.empty()) return failed("encode the credentials");
    if (Status status = write_private(folder + "/" + name, text); !status) return status;
  }
  return ok();
}

}  // namespace troupe::cluster
