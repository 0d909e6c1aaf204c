// What is told of NCCL without its header is what its header says; compiled where that is
// installed.
#include <nccl.h>

#include <cstddef>
#include <type_traits>

#include "kernels/collective/nccl_library.h"

using troupe::kernels::collective::NcclId;
using troupe::kernels::collective::NcclLibrary;

static_assert(sizeof(NcclId) == sizeof(ncclUniqueId) && alignof(NcclId) == alignof(ncclUniqueId));
static_assert(troupe::kernels::collective::kNcclSuccess == ncclSuccess);
static_assert(troupe::kernels::collective::kNcclInProgress == ncclInProgress);
static_assert(troupe::kernels::collective::kNcclBytes == ncclUint8);
static_assert(offsetof(NcclLibrary::Config, size) == offsetof(ncclConfig_t, size));
static_assert(offsetof(NcclLibrary::Config, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(NcclLibrary::Config, version) == offsetof(ncclConfig_t, version));
static_assert(offsetof(NcclLibrary::Config, blocking) == offsetof(ncclConfig_t, blocking));
static_assert(
    std::is_same_v<decltype(&ncclSend), ncclResult_t (*)(const void*, size_t, ncclDataType_t, int,
                                                         ncclComm_t, cudaStream_t)>);
static_assert(std::is_same_v<decltype(&ncclRecv), ncclResult_t (*)(void*, size_t, ncclDataType_t,
                                                                   int, ncclComm_t, cudaStream_t)>);
static_assert(std::is_same_v<decltype(&ncclCommInitRankConfig),
                             ncclResult_t (*)(ncclComm_t*, int, ncclUniqueId, int, ncclConfig_t*)>);
