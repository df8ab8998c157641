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
/// An engine is handed batches of about this size: it refuses or takes a batch as a whole.
inline constexpr size_t kApplyBytesPerCommit = 4 * kMiB;
inline constexpr size_t kPendingReadsPerGroupMax = 4096;  ///< Read rounds without an answer yet.

// What waits in a worker. Beyond a limit the client is answered that this node is overloaded; the
// limits per group keep one group from using up the worker's.
inline constexpr size_t kPendingWritesPerWorkerMax = 65'536;
inline constexpr size_t kPendingWritesPerGroupMax = 16'384;
inline constexpr size_t kPendingWriteBytesPerWorkerMax = 256 * kMiB;
inline constexpr size_t kPendingWriteBytesPerGroupMax = 64 * kMiB;
inline constexpr size_t kWaitingReadsPerWorkerMax = 65'536;
inline constexpr size_t kWaitingReadsPerGroupMax = 16'384;
/// Proposed and not committed, in all groups that a worker leads.
inline constexpr size_t kUncommittedBytesPerWorkerMax = 256 * kMiB;
/// Sent to members and not acknowledged, by all groups of a worker.
inline constexpr size_t kInflightBytesPerWorkerMax = 256 * kMiB;
/// A turn proposes no more than this, nor a group in it; what is left is the next turn's.
inline constexpr size_t kProposalBytesPerTurnMax = 16 * kMiB;
inline constexpr size_t kProposalBytesPerGroupAndTurnMax = 4 * kMiB;
/// A turn hands no more than this to state machines; groups take turns.
inline constexpr size_t kApplyBytesPerTurnMax = 16 * kMiB;
static_assert(kProposalBytesMax <= kProposalBytesPerTurnMax);
static_assert(kPendingWriteBytesPerGroupMax <= kPendingWriteBytesPerWorkerMax);

// The wire. One frame carries a batch of messages; one message at least fits.
inline constexpr size_t kFrameBytesMax = 16 * kMiB;
inline constexpr size_t kFrameBatchBytesTarget =
    1 * kMiB;  ///< A batch is sent once it is this big.
inline constexpr size_t kPeerSendQueueBytesMax = 64 * kMiB;  ///< Past it, messages are dropped.
inline constexpr size_t kSnapshotChunkBytes = 256 * kKiB;
inline constexpr size_t kSnapshotChunksAheadMax = 4;        ///< Sent and not acknowledged.
inline constexpr size_t kSnapshotBytesAheadMax = 1 * kMiB;  ///< Likewise; one chunk at least.
inline constexpr size_t kSnapshotsSendingMax = 8;           ///< At a time, by a node.
/// A receiver that takes less than so much in a second, while the stream waits for nothing else, is
/// given up: a snapshot holds old versions in the engine and the log behind it.
inline constexpr size_t kSnapshotRateMin = 64 * kKiB;
inline constexpr size_t kSnapshotsReceivingMax = 8;     ///< At a time, broken ones included.
inline constexpr size_t kSnapshotStreamsMax = 64;       ///< That a node remembers.
inline constexpr int64_t kSnapshotResumeSeconds = 30;   ///< To go on after a break.
inline constexpr int64_t kCatchUpSilenceSeconds = 300;  ///< A member behind a snapshot, at most.
static_assert(kProposalBytesMax + kMessageBytesMax < kFrameBytesMax);
static_assert(kFrameBatchBytesTarget + kProposalBytesMax < kFrameBytesMax);

// The log.
inline constexpr size_t kLogSegmentBytes = 64 * kMiB;
inline constexpr size_t kLogBatchBytesMax = 32 * kMiB;
inline constexpr size_t kLogCacheBytes = 256 * kMiB;  ///< Cached entries, per worker.
/// Entries that a worker's groups keep for members that lag, in memory (8 to 16 bytes each) and on
/// disk. Beyond them the groups that keep most are cut first.
inline constexpr size_t kLogEntriesPerWorkerMax = 4'000'000;
inline constexpr size_t kLogBytesPerWorkerMax = 4096 * kMiB;
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
