// include/mlx/stream.h: queues of work on a device.
#pragma once

#include <optional>
#include <vector>

#include "mlx/device.h"

namespace mlx::core {

struct Stream {
  int index;
  Device device;
  explicit Stream(int index, Device device) : index(index), device(device) {}
  bool operator==(const Stream&) const = default;
  bool operator<(const Stream& rhs) const {
    return device == rhs.device ? index < rhs.index : device < rhs.device;
  }
};

/** A stream per thread behind one handle: each thread that uses it gets a queue of its own. */
struct ThreadLocalStream : public Stream {
  using Stream::Stream;
};

Stream default_stream(Device d);
std::optional<Stream> peek_default_stream(Device d);
void set_default_stream(Stream s);
Stream new_stream(Device d);
Stream new_thread_unsafe_stream(Device d);
ThreadLocalStream new_thread_local_stream(Device d);
Stream stream_from_thread_local_stream(ThreadLocalStream tls);
std::vector<Stream> get_streams();
/** Wait for all work on the default stream of the default device, or on the given stream. */
void synchronize();
void synchronize(Stream);
void synchronize(ThreadLocalStream);
void clear_streams();

}  // namespace mlx::core
