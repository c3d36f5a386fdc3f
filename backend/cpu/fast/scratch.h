// backend/cpu/fast/scratch.h: per-thread working memory of kernels.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace mlx::core::cpu {

/** Grows and is kept, so that a kernel called again doesn't allocate. Contents don't survive get().
 */
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  /** At least `bytes` bytes, aligned to 64, and readable 64 bytes beyond. */
  void* get(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = 0;
      const size_t rounded = (bytes + bytes / 4 + 127) / 64 * 64;
      data_ = std::aligned_alloc(64, rounded);
      if (data_ == nullptr) throw std::bad_alloc();
      size_ = bytes + bytes / 4;
    }
    return data_;
  }
  float* floats(size_t n) { return static_cast<float*>(get(n * sizeof(float))); }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace mlx::core::cpu
