#include "kernels/collective/device_team.h"

#include <dlfcn.h>

#include <utility>

#include "kernels/collective/nccl_communicator.h"
#include "kernels/cuda/plugin/plugin.h"
#include "kernels/device_backend.h"

namespace troupe::kernels::collective {
namespace {

// All streams of the library are one queue.
class QueueEvents final : public StreamEvents {
 public:
  explicit QueueEvents(const cuda::QueueCalls& calls) : calls_(calls) {}

  void* native(Stream*) override { return calls_.native(); }
  Status mark(Stream*) override {
    const char* const why = calls_.mark();
    return why == nullptr ? ok() : Status(Error{ErrorCode::kInternal, why});
  }
  Result<bool> has_passed(Stream*) override {
    const char* why = nullptr;
    const bool has = calls_.has_passed(&why);
    if (why != nullptr) return Error{ErrorCode::kInternal, why};
    return has;
  }

 private:
  const cuda::QueueCalls& calls_;
};

Result<std::shared_ptr<StreamEvents>> queue_of(const std::string& path) {
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  auto* const function =
      handle == nullptr
          ? nullptr
          : reinterpret_cast<cuda::QueueFunction*>(::dlsym(handle, cuda::kQueueFunction));
  if (function == nullptr) {
    return Error{ErrorCode::kUnavailable,
                 path + ": it does not say when work of a GPU is done; build both together"};
  }
  return std::shared_ptr<StreamEvents>(std::make_shared<QueueEvents>(*function()));
}

}  // namespace

Result<std::unique_ptr<Communicator>> device_team(std::string_view arithmetic_id,
                                                  std::shared_ptr<Mesh> mesh, int channel,
                                                  const DeviceLibraries& libraries) {
  if (device_of(arithmetic_id) == "cpu") return communicator(std::move(mesh), channel);
  auto queue = queue_of(libraries.gpus.empty() ? cuda_library_path() : libraries.gpus);
  if (!queue) return queue.error();
  auto nccl = libraries.nccl.empty() ? NcclLibrary::open() : NcclLibrary::open(libraries.nccl);
  if (!nccl) {
    return Error{ErrorCode::kUnavailable,
                 "several ranks of a learner on GPUs need NCCL: " + nccl.error().message};
  }
  return communicator(
      std::make_shared<NcclTeam>(std::move(*nccl), std::move(*queue), std::move(mesh)), channel);
}

}  // namespace troupe::kernels::collective
