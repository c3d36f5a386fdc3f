// include/mlx/allocator.h: memory of arrays. All functions are thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>

namespace mlx::core {
class Residency;
}

namespace mlx::core::allocator {

/** A piece of memory; owns nothing. */
class Buffer {
 public:
  explicit Buffer(void* ptr) : ptr_(ptr) {}
  void* raw_ptr() { return ptr_; }
  const void* ptr() const { return ptr_; }
  void* ptr() { return ptr_; }

 private:
  void* ptr_;
};

class Allocator {
 public:
  /** At least size bytes, aligned to 64; throws std::bad_alloc. A size of 0 gives a valid buffer.
   */
  virtual Buffer malloc(size_t size) = 0;
  virtual void free(Buffer buffer) = 0;
  virtual size_t size(Buffer buffer) const = 0;
  virtual Buffer make_buffer(void* ptr, size_t size);
  virtual void release(Buffer buffer);

  Allocator() = default;
  Allocator(const Allocator& other) = delete;
  Allocator(Allocator&& other) = delete;
  Allocator& operator=(const Allocator& other) = delete;
  Allocator& operator=(Allocator&& other) = delete;
  virtual ~Allocator() = default;
};

Allocator& allocator();

using Deleter = std::function<void(Buffer)>;

/**
 * Owns a buffer: gives it back to the allocator, or to the deleter it was made with. Devices with
 * memory of their own may have copies of the bytes; where those are valid is the residency's.
 */
class Data {
 public:
  enum Place : unsigned char {
    host,    // the host's bytes are valid and the only ones
    shared,  // the host's are valid, and those of a device, too
    device   // only a device's are
  };

  Data(Buffer buffer) : buffer_(buffer), owned_(true) {}
  Data(Buffer buffer, Deleter d) : buffer_(buffer), deleter_(std::move(d)), owned_(false) {}
  Data(const Data& other) = delete;
  Data& operator=(const Data& other) = delete;
  Data(Data&& other) noexcept
      : buffer_(other.buffer_),
        deleter_(std::move(other.deleter_)),
        owned_(other.owned_),
        used_(other.used_),
        place_(other.place_.load()),
        residency_(other.residency_) {
    other.residency_ = nullptr;
    other.buffer_ = Buffer(nullptr);
    other.deleter_ = nullptr;
  }
  ~Data();

  Buffer buffer() const& { return buffer_; }
  Buffer buffer() const&& = delete;
  /** True if the memory came from the allocator (and may be written over by a donated result). */
  bool is_owned() const { return owned_; }

  Place place() const { return place_.load(std::memory_order_acquire); }
  /** Makes the host's bytes valid. */
  void bring_to_host();
  /** The same, and drops what devices have: the host is about to write. */
  void claim_for_host();
  /** Bytes from the start of the buffer that arrays use. */
  size_t used() const { return used_; }
  void use(size_t bytes) { used_ = std::max(used_, bytes); }

 private:
  friend class mlx::core::Residency;
  Buffer buffer_;
  Deleter deleter_;
  bool owned_;
  size_t used_ = 0;
  std::atomic<Place> place_{host};
  Residency* residency_ = nullptr;  // null: no device has ever had a copy
};

inline Data malloc(size_t size) { return Data(allocator().malloc(size)); }
inline Buffer make_buffer(void* ptr, size_t size) { return allocator().make_buffer(ptr, size); }
inline void release(Buffer buffer) { allocator().release(buffer); }
bool can_reuse_alien_buffer(void* ptr);

}  // namespace mlx::core::allocator
