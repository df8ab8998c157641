#include "env/posix/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "env/clock.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reading = UniqueFd(ends[0]);
    writing = UniqueFd(ends[1]);
    EXPECT_GT(::fcntl(writing.get(), F_SETPIPE_SZ, 4096), 0);
  }
  std::string read_until(const std::string& end) {
    std::array<char, 4096> buffer;
    while (text.find(end) == std::string::npos) {
      const ssize_t n = ::read(reading.get(), buffer.data(), buffer.size());
      if (n <= 0) break;
      text.append(buffer.data(), static_cast<size_t>(n));
    }
    return text;
  }
  UniqueFd reading, writing;
  std::string text;
};

LineWriter::Options options(const Pipe& pipe, size_t bytes_max) {
  return {pipe.writing.get(), bytes_max,
          [](uint64_t lost) { return std::to_string(lost) + " lines were lost\n"; }};
}

TEST(LineWriter, Lines_AreWrittenInOrder) {
  Pipe pipe;
  LineWriter writer(options(pipe, 1024));
  writer.write("one\n");
  writer.write("two\n");
  EXPECT_EQ(pipe.read_until("two\n"), "one\ntwo\n");
  EXPECT_TRUE(writer.flush(60 * kSecond));
  EXPECT_EQ(writer.lost(), 0u);
}

TEST(LineWriter, ReaderThatStops_NeverHoldsUpTheCaller_AndWhatIsLostIsReported) {
  Pipe pipe;
  LineWriter writer(options(pipe, 16 * 1024));
  const std::string line = std::string(99, 'x') + "\n";
  constexpr uint64_t kLines = 1'000;
  for (uint64_t i = 0; i < kLines; ++i) writer.write(line);  // Far more than pipe and queue hold.
  EXPECT_GT(writer.lost(), 0u);
  EXPECT_FALSE(writer.flush(0));
  const std::string text = pipe.read_until(" lines were lost\n");
  const size_t report = text.find(std::to_string(writer.lost()) + " lines were lost\n");
  EXPECT_EQ(report, (kLines - writer.lost()) * line.size());
}

TEST(LineWriter, Destruction_DoesNotWaitForTheReader) {
  Pipe pipe;
  LineWriter writer(options(pipe, 64 * 1024));
  for (int i = 0; i < 10; ++i) writer.write(std::string(4095, 'x') + "\n");
  EXPECT_FALSE(writer.flush(0));
}

TEST(LineWriter, ReaderThatIsGone_CostsOnlyTheLines) {
  Pipe pipe;
  pipe.reading = UniqueFd();
  LineWriter writer(options(pipe, 1024));
  writer.write("one\n");
  EXPECT_TRUE(writer.flush(60 * kSecond));
}

TEST(LineWriter, NonBlockingDescriptor_LosesNothing) {
  Pipe pipe;
  ASSERT_EQ(::fcntl(pipe.writing.get(), F_SETFL, O_NONBLOCK), 0);
  LineWriter writer(options(pipe, 64 * 1024));
  for (int i = 0; i < 10; ++i) writer.write(std::string(4095, 'x') + "\n");
  writer.write("end\n");
  EXPECT_EQ(pipe.read_until("end\n").size(), 10u * 4096 + 4);
}

}  // namespace
}  // namespace multiraft::env
