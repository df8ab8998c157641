#pragma once
// Decoded structures as JSON values.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <string>
#include <string_view>

#include "inspect/log_walker.h"
#include "raft/types.h"
#include "state_dir/known_nodes.h"
#include "state_dir/node_identity.h"

namespace multiraft::inspect {

/// Bytes that are no printable ASCII as \xNN: keys may be anything.
std::string printable(std::string_view bytes);

boost::json::object to_json(const raft::ConfState& conf);
boost::json::object to_json(const raft::Snapshot& snapshot);
boost::json::object to_json(const raft::HardState& state);
boost::json::object to_json(const state_dir::NodeFacts& facts);
boost::json::array to_json(const state_dir::KnownNodes& book);
boost::json::object to_json(const SegmentReport& segment);
boost::json::object to_json(const Damage& damage);
boost::json::object to_json(const WalkedRecord& walked);
boost::json::object to_json(GroupId group, const log::EntryView& entry);

}  // namespace multiraft::inspect
