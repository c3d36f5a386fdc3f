// core/memory/residency.cpp
#include "core/memory/residency.h"

#include <mutex>

#include "core/gpu.h"

namespace mlx::core {

namespace {
std::mutex moving;  // guards every residency, and all places
Residency::Moves made{0, 0};

std::unique_ptr<GpuBackend>& backend() {
  static std::unique_ptr<GpuBackend> b;
  return b;
}
}  // namespace

void register_gpu_backend(std::unique_ptr<GpuBackend> b) { backend() = std::move(b); }
GpuBackend* gpu_backend() { return backend().get(); }

std::shared_ptr<void> Residency::on(allocator::Data& data, Device device) {
  std::lock_guard lock(moving);
  if (data.residency_) {
    for (const auto& copy : data.residency_->copies_) {
      if (copy.device == device) return copy.memory;
    }
    bring_to_host(data);  // from another device
  } else {
    data.residency_ = new Residency;
  }
  auto memory = gpu_backend()->allocate(device.index, data.used());
  gpu_backend()->copy_to_device(device.index, memory.get(), data.buffer().ptr(), data.used());
  ++made.to_device;
  data.residency_->copies_.push_back({device, memory});
  data.place_.store(allocator::Data::shared, std::memory_order_release);
  return memory;
}

void Residency::born(allocator::Data& data, Device device, std::shared_ptr<void> memory) {
  std::lock_guard lock(moving);
  if (!data.residency_) data.residency_ = new Residency;
  data.residency_->copies_ = {{device, std::move(memory)}};
  gpu_backend()->host_is_stale(data.buffer().ptr(), data.used());
  data.place_.store(allocator::Data::device, std::memory_order_release);
}

void Residency::bring_to_host(allocator::Data& data) {
  if (data.place() != allocator::Data::device) return;
  const Copy& from = data.residency_->copies_.front();
  gpu_backend()->copy_to_host(from.device.index, data.buffer().ptr(), from.memory.get(),
                              data.used());
  ++made.to_host;
  data.place_.store(allocator::Data::shared, std::memory_order_release);
}

Residency::Moves Residency::moves() {
  std::lock_guard lock(moving);
  return made;
}

namespace allocator {

void Data::bring_to_host() {
  std::lock_guard lock(moving);
  Residency::bring_to_host(*this);
}

void Data::claim_for_host() {
  std::lock_guard lock(moving);
  Residency::bring_to_host(*this);
  residency_->copies_.clear();
  place_.store(host, std::memory_order_release);
}

Data::~Data() {
  delete residency_;
  if (deleter_) {
    deleter_(buffer_);
  } else if (owned_ && buffer_.ptr()) {
    allocator().free(buffer_);
  }
}

}  // namespace allocator

}  // namespace mlx::core
