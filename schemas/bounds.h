// What no message between processes exceeds. Decoders refuse more before they allocate for it, and
// encoders are not given more. Those of a trajectory are in trajectory_codec.h, those of the front
// door in control.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe {

inline constexpr size_t kNameBytesMax = 4 << 10;       // A name, a path, a digest.
inline constexpr size_t kTextBytesMax = 64 << 10;      // A line for people; longer ones are cut.
inline constexpr size_t kResponseBytesMax = 16 << 20;  // A prompt, response or answer as text.

inline constexpr uint32_t kJobListMax = 1 << 10;  // Files, shares of a job.
inline constexpr uint32_t kRewardSettingsMax = 64;
inline constexpr uint32_t kRewardFilesMax = 16;         // Of one reward ...
inline constexpr size_t kRewardFileBytesMax = 1 << 20;  // ... and each of them.
inline constexpr uint32_t kTracesMax = 1 << 16;
inline constexpr uint32_t kWorkersMax = 1 << 16;
inline constexpr uint32_t kLedgerNamesMax = 1 << 10;
inline constexpr uint32_t kGroupTrajectoriesMax = 1 << 16;
inline constexpr uint32_t kStopTokensMax = 64;          // Of one policy.
inline constexpr uint32_t kPointPoliciesMax = 1 << 10;  // Versions that a recovery point holds.
inline constexpr uint32_t kStepGroupsMax = 1 << 16;     // Groups of one message or of one step.
inline constexpr uint32_t kStepSequencesMax = 1 << 20;  // Demonstrations or trajectories.
inline constexpr uint32_t kRanksMax = 1 << 10;          // Of a learner's team.
inline constexpr uint32_t kPointFilesMax = 1 << 12;     // Of a recovery point.

inline constexpr size_t kGroupBytesMax = size_t{1} << 28;  // An encoded GroupRecord.

}  // namespace troupe
