#pragma once
// Move-only callables: work handed from one place to another exactly once.

#include <absl/functional/any_invocable.h>

namespace multiraft {

template <class Signature>
using Callback = absl::AnyInvocable<Signature>;
using Task = Callback<void()>;

}  // namespace multiraft
