#include "env/posix/socket_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "env/posix/errno_text.h"

namespace multiraft::env {
namespace {

const sockaddr_in& v4(const SocketAddress& a) {
  return reinterpret_cast<const sockaddr_in&>(a.storage);
}
const sockaddr_in6& v6(const SocketAddress& a) {
  return reinterpret_cast<const sockaddr_in6&>(a.storage);
}

struct AddressListDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<std::vector<SocketAddress>> look_up(const Address& address, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  // Not AI_ADDRCONFIG: in a network namespace with nothing but loopback it hides localhost.
  hints.ai_flags = AI_NUMERICSERV | flags;
  const std::string port = std::to_string(address.port);
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &list);
  if (error != 0) {
    const std::string why = error == EAI_SYSTEM ? errno_text(errno) : ::gai_strerror(error);
    return Status(StatusCode::kUnavailable, "cannot resolve \"" + address.host + "\": " + why);
  }
  const std::unique_ptr<addrinfo, AddressListDeleter> owner(list);
  std::vector<SocketAddress> found;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress a;
    if (one->ai_addrlen > sizeof a.storage) continue;
    std::memcpy(&a.storage, one->ai_addr, one->ai_addrlen);
    a.length = one->ai_addrlen;
    found.push_back(a);
  }
  if (found.empty()) {
    return Status(StatusCode::kUnavailable, "\"" + address.host + "\" has no address");
  }
  return found;
}

}  // namespace

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(v4(*this).sin_port);
  if (family() == AF_INET6) return ntohs(v6(*this).sin6_port);
  return 0;
}

std::string SocketAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &v4(*this).sin_addr, text, sizeof text);
  } else if (family() == AF_INET6) {
    const in6_addr& address = v6(*this).sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&address)) {
      ::inet_ntop(AF_INET6, &address, text, sizeof text);
      return "[" + std::string(text) + "]:" + std::to_string(port());
    }
    ::inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
  } else {
    return "(no address)";
  }
  return std::string(text) + ":" + std::to_string(port());
}

bool SocketAddress::same_as(const SocketAddress& other) const {
  if (family() != other.family() || port() != other.port()) return false;
  if (family() == AF_INET) return v4(*this).sin_addr.s_addr == v4(other).sin_addr.s_addr;
  if (family() != AF_INET6) return false;
  return std::memcmp(&v6(*this).sin6_addr, &v6(other).sin6_addr, sizeof(in6_addr)) == 0;
}

std::optional<SocketAddress> SocketAddress::numeric(const std::string& host, uint16_t port) {
  // AI_NUMERICHOST never asks a server; unlike inet_pton it knows scopes (fe80::1%eth0).
  Result<std::vector<SocketAddress>> found = look_up({host, port}, AI_NUMERICHOST);
  if (!found) return std::nullopt;
  return found->front();
}

SocketAddress SocketAddress::local_of(int fd) {
  SocketAddress address;
  if (::getsockname(fd, address.raw(), &address.length) != 0) return SocketAddress();
  return address;
}

Result<std::vector<SocketAddress>> resolve(const Address& address) { return look_up(address, 0); }

}  // namespace multiraft::env
