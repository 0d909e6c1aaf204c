// What lies in a credentials folder. Both ends of a connection use the same three files: who has
// them is a full peer.
#pragma once

namespace troupe::actors {

inline constexpr char kAuthorityFile[] = "ca.pem";  // Certificate of this run's authority.
inline constexpr char kCertificateFile[] = "node.pem";
inline constexpr char kKeyFile[] = "node.key";

}  // namespace troupe::actors
