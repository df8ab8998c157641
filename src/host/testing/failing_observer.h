#pragma once
// Fails the test when a host reports a failed disk.

#include <gtest/gtest.h>

#include "host/testing/quiet_observer.h"

namespace multiraft::host::testing {

class FailingObserver final : public QuietObserver {
 public:
  void on_fatal(const Status& status) override { ADD_FAILURE() << status.to_string(); }
};

}  // namespace multiraft::host::testing
