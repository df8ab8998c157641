#pragma once
// IP addresses with ports, as the kernel takes them.

#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "env/network.h"
#include "multiraft/status.h"

namespace multiraft::env {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  uint16_t port() const;
  /// "10.0.0.1:80", "[::1]:80"; an IPv4 address mapped into IPv6 is shown as IPv4.
  std::string to_string() const;
  /// The same address and port.
  bool same_as(const SocketAddress& other) const;

  /// The numeric address `host` (IPv4 or IPv6); nothing for a name.
  static std::optional<SocketAddress> numeric(const std::string& host, uint16_t port);
  /// The address this socket is bound to.
  static SocketAddress local_of(int fd);
};

/// Asks the system's resolver; blocks, perhaps for many seconds. At least one address, or
/// kUnavailable with the resolver's reason.
Result<std::vector<SocketAddress>> resolve(const Address& address);

}  // namespace multiraft::env
