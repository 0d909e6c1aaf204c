// Whether a node sees its head's folder, and the head what the node writes there: each reads a file
// that the other has just written. A folder of the same name on another disk, or one that only one
// of them may write to, is found out before anything relies on it.
//
//   node: HOME/canary/NODE/INSTANCE        with random text, which its hello says too
//   head: HOME/canary/NODE/INSTANCE.seen   with the digest of what it has read, before it lets it
//   in
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

// The node's side. Its file is there for as long as this is, for heads that begin anew.
class Canary {
 public:
  // Without `shared_home` there is nothing to prove. kInvalidArgument when the folder cannot be
  // written to.
  static Result<Canary> set(const std::string& shared_home, const std::string& node,
                            uint64_t instance);
  ~Canary();
  Canary(Canary&& other) noexcept
      : folder_(std::exchange(other.folder_, {})),
        path_(std::move(other.path_)),
        text_(std::move(other.text_)) {}
  Canary& operator=(Canary&&) = delete;

  const std::string& text() const { return text_; }
  // Once the head has let this node in: kInvalidArgument when its answer is not seen here.
  Status check_answer() const;

 private:
  Canary() = default;

  std::string folder_{};
  std::string path_{};
  std::string text_{};
};

// The head's side: why what the node says to share is not `home`; otherwise it is answered.
std::optional<std::string> answer_canary(const std::string& home, const std::string& node,
                                         const NodeHello& hello);

}  // namespace troupe::cluster
