// core/memory/allocator.cpp: the CPU allocator. Freed buffers are kept by size class and handed out
// again, because fresh pages cost more than the work done in them (a page fault per 4 KiB).
#include "mlx/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "mlx/memory.h"

namespace mlx::core {

namespace allocator {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeader = 64;  // in front of each buffer; keeps its alignment
constexpr size_t kMapThreshold = size_t(1) << 21;

struct Header {
  size_t capacity;  // bytes that the user may use
  size_t mapped;    // bytes of the mapping, 0 if it came from aligned_alloc
};

Header* header_of(const void* p) {
  return reinterpret_cast<Header*>(static_cast<char*>(const_cast<void*>(p)) - kHeader);
}

// Four classes to each power of two: at most 25% of a buffer is unused.
size_t class_of(size_t size) {
  size = std::max<size_t>(size, 64);
  int log = std::bit_width(size - 1) - 1;  // 2^log < size <= 2^(log + 1)
  size_t quarter = size_t(1) << (log >= 2 ? log - 2 : 0);
  size_t step = (size - (size_t(1) << log) + quarter - 1) / quarter;  // 1..4
  return static_cast<size_t>(log) * 4 + step - 1;
}
size_t class_size(size_t c) {
  size_t log = c / 4, step = c % 4 + 1;
  return (size_t(1) << log) + step * ((size_t(1) << log) / 4);
}

size_t physical_memory() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
}

class AllocationError final : public std::bad_alloc {
 public:
  AllocationError(size_t wanted, size_t active, size_t limit)
      : text_("[malloc] Unable to allocate " + std::to_string(wanted) + " bytes: " +
              std::to_string(active) + " are in use, the limit is " + std::to_string(limit) + ".") {
  }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

class CpuAllocator final : public Allocator {
 public:
  CpuAllocator() : limit_(physical_memory() / 100 * 95), cache_limit_(physical_memory() / 4) {}

  Buffer malloc(size_t size) override {
    if (size > (size_t(1) << 47)) throw AllocationError(size, active(), limit());
    size_t c = class_of(size);
    size_t capacity = class_size(c);
    void* p = nullptr;
    {
      std::lock_guard lock(mutex_);
      auto& bin = bins_[c];
      if (!bin.empty()) {
        p = bin.back();
        bin.pop_back();
        cached_ -= capacity;
      } else if (active_ + cached_ + capacity > limit_) {
        // Beyond the limit first give back what is kept, then refuse.
        release_cache(active_ + capacity > limit_ ? 0 : limit_ - active_ - capacity);
        if (active_ + capacity > limit_) throw AllocationError(size, active_, limit_);
      }
      active_ += capacity;
      peak_ = std::max(peak_, active_);
    }
    if (p) return Buffer(p);
    p = fresh(capacity);
    if (!p) {
      clear_cache();
      p = fresh(capacity);
    }
    if (!p) {
      std::lock_guard lock(mutex_);
      active_ -= capacity;
      throw AllocationError(size, active_, limit_);
    }
    return Buffer(p);
  }

  void free(Buffer buffer) override {
    void* p = buffer.ptr();
    if (!p) return;
    size_t capacity = header_of(p)->capacity;
    {
      std::lock_guard lock(mutex_);
      active_ -= capacity;
      if (cached_ + capacity <= cache_limit_) {
        cached_ += capacity;
        bins_[class_of(capacity)].push_back(p);
        return;
      }
    }
    destroy(p);
  }

  size_t size(Buffer buffer) const override {
    return buffer.ptr() ? header_of(buffer.ptr())->capacity : 0;
  }

  void clear_cache() {
    std::lock_guard lock(mutex_);
    release_cache(0);
  }

  template <class F>
  auto locked(F f) {
    std::lock_guard lock(mutex_);
    return f();
  }

  size_t active() {
    return locked([&] { return active_; });
  }
  size_t peak() {
    return locked([&] { return peak_; });
  }
  size_t cached() {
    return locked([&] { return cached_; });
  }
  size_t limit() {
    return locked([&] { return limit_; });
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    peak_ = active_;
  }
  size_t set_limit(size_t limit) {
    return locked([&] { return std::exchange(limit_, limit); });
  }
  size_t set_cache_limit(size_t limit) {
    std::lock_guard lock(mutex_);
    size_t before = std::exchange(cache_limit_, limit);
    release_cache(limit);
    return before;
  }

 private:
  static void* fresh(size_t capacity) {
    size_t bytes = capacity + kHeader;
    void* base;
    size_t mapped = 0;
    if (bytes >= kMapThreshold) {
      mapped = (bytes + 4095) / 4096 * 4096;
      base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (base == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
      madvise(base, mapped, MADV_HUGEPAGE);
#endif
    } else {
      base = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
      if (!base) return nullptr;
    }
    auto* header = static_cast<Header*>(base);
    header->capacity = capacity;
    header->mapped = mapped;
    return static_cast<char*>(base) + kHeader;
  }

  static void destroy(void* p) {
    Header* header = header_of(p);
    if (header->mapped) {
      munmap(header, header->mapped);
    } else {
      std::free(header);
    }
  }

  // Largest first: few calls give much back.
  void release_cache(size_t keep) {
    for (size_t c = bins_.size(); c-- > 0 && cached_ > keep;) {
      auto& bin = bins_[c];
      while (!bin.empty() && cached_ > keep) {
        cached_ -= class_size(c);
        destroy(bin.back());
        bin.pop_back();
      }
    }
  }

  std::mutex mutex_;  // guards everything below
  std::array<std::vector<void*>, 4 * 48> bins_;
  size_t active_ = 0;
  size_t peak_ = 0;
  size_t cached_ = 0;
  size_t limit_;
  size_t cache_limit_;
};

// Lives as long as the process: arrays in static storage are freed after any destructor here.
CpuAllocator& cpu_allocator() {
  static CpuAllocator* a = new CpuAllocator;
  return *a;
}

}  // namespace

Allocator& allocator() { return cpu_allocator(); }

Buffer Allocator::make_buffer(void* ptr, size_t) { return Buffer(ptr); }
void Allocator::release(Buffer) {}

bool can_reuse_alien_buffer(void* ptr) { return reinterpret_cast<uintptr_t>(ptr) % 16 == 0; }

}  // namespace allocator

size_t get_active_memory() { return allocator::cpu_allocator().active(); }
size_t get_peak_memory() { return allocator::cpu_allocator().peak(); }
void reset_peak_memory() { allocator::cpu_allocator().reset_peak(); }
size_t get_cache_memory() { return allocator::cpu_allocator().cached(); }
size_t set_memory_limit(size_t limit) { return allocator::cpu_allocator().set_limit(limit); }
size_t get_memory_limit() { return allocator::cpu_allocator().limit(); }
size_t set_cache_limit(size_t limit) { return allocator::cpu_allocator().set_cache_limit(limit); }
void clear_cache() { allocator::cpu_allocator().clear_cache(); }

size_t set_wired_limit(size_t limit) {
  // Only GPUs wire memory; remembered so that programs see what they set.
  static std::atomic<size_t> wired{0};
  return wired.exchange(limit);
}

size_t get_array_buffer_size(const std::vector<array>& arrays) {
  std::vector<const void*> seen;
  size_t total = 0;
  for (const auto& a : arrays) {
    if (!a.is_available() || !a.data_shared_ptr()) continue;
    const void* p = a.data_shared_ptr().get();
    if (std::find(seen.begin(), seen.end(), p) != seen.end()) continue;
    seen.push_back(p);
    total += a.data_shared_ptr()->is_owned() ? a.buffer_size() : a.nbytes();
  }
  return total;
}

}  // namespace mlx::core
