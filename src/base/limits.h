#pragma once
// Every limit of the system in one place. What reaches one gets a clear error, never growth.

#include <cstddef>
#include <cstdint>

namespace multiraft::limits {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// What users may store.
inline constexpr size_t kKeyBytesMax = 4 * kKiB;
inline constexpr size_t kValueBytesMax = 8 * kMiB;
/// One proposal: a value, its key and the command around them.
inline constexpr size_t kProposalBytesMax = kValueBytesMax + kKeyBytesMax + 4 * kKiB;

// Identities. ReplicaId packs the node into 32 bits; its two topmost values name local threads.
inline constexpr uint64_t kNodeIdMax = 0xffff'fffe;

// The registry.
inline constexpr size_t kNodesMax = 1'024;
inline constexpr size_t kGroupsMax = 100'000;
inline constexpr size_t kGroupMembersMax = 64;
inline constexpr size_t kAddressBytesMax = 256;

// The core.
inline constexpr size_t kMessageBytesMax = 1 * kMiB;  ///< Entries in one append message.
inline constexpr size_t kInflightMessagesMax = 256;   ///< Appends under way to one member.
inline constexpr size_t kInflightBytesMax = 16 * kMiB;
inline constexpr size_t kUncommittedBytesMax = 64 * kMiB;  ///< A leader's tail, per group.
inline constexpr size_t kCommittedBytesPerReadyMax = 16 * kMiB;
inline constexpr size_t kPendingReadsPerGroupMax = 4096;  ///< Read rounds without an answer yet.

// The wire. One frame carries a batch of messages; one message at least fits.
inline constexpr size_t kFrameBytesMax = 16 * kMiB;
inline constexpr size_t kFrameBatchBytesTarget =
    1 * kMiB;  ///< A batch is sent once it is this big.
inline constexpr size_t kPeerSendQueueBytesMax = 64 * kMiB;  ///< Past it, messages are dropped.
inline constexpr size_t kSnapshotChunkBytes = 256 * kKiB;
inline constexpr size_t kSnapshotChunksAheadMax = 4;         ///< Sent and not acknowledged.
inline constexpr size_t kSnapshotsSendingMax = 4;            ///< At a time, by a worker.
inline constexpr size_t kSnapshotsReceivingMax = 8;          ///< At a time, broken ones included.
inline constexpr size_t kSnapshotStreamsMax = 64;            ///< That a node remembers.
inline constexpr int64_t kSnapshotResumeSeconds = 30;        ///< To go on after a break.
inline constexpr int64_t kSnapshotProtectsLogSeconds = 300;  ///< Of the sender's log, at most.
static_assert(kProposalBytesMax + kMessageBytesMax < kFrameBytesMax);
static_assert(kFrameBatchBytesTarget + kProposalBytesMax < kFrameBytesMax);

// The log.
inline constexpr size_t kLogSegmentBytes = 64 * kMiB;
inline constexpr size_t kLogBatchBytesMax = 32 * kMiB;
inline constexpr size_t kLogCacheBytes = 256 * kMiB;  ///< Cached entries, per worker.
/// Beyond this much that waits for a disk that hangs, a follower takes no entries.
inline constexpr size_t kLogPendingBytesStalledMax = 64 * kMiB;
/// A segment holds the largest record, besides its header, footer and trailer.
inline constexpr size_t kLogSegmentBytesMin = 9 * kMiB;
static_assert(kProposalBytesMax + 512 * kKiB < kLogSegmentBytesMin);
static_assert(kProposalBytesMax < kLogBatchBytesMax && kLogBatchBytesMax <= kLogSegmentBytes / 2);

// The disk. Set aside for the upkeep of the state once it is nearly full.
inline constexpr size_t kDiskReserveBytesMax = 256 * kMiB;

// HTTP.
inline constexpr size_t kHttpHeaderBytesMax = 16 * kKiB;
/// JSON may spell a byte of the value with up to six characters (\u0000).
inline constexpr size_t kHttpBodyBytesMax = 6 * (kValueBytesMax + kKeyBytesMax) + kKiB;
inline constexpr size_t kHttpConnectionsMax = 10'000;
inline constexpr size_t kPendingRequestsPerWorkerMax = 65'536;

}  // namespace multiraft::limits
