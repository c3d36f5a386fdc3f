// core/gpu.h: what a backend for Device::gpu brings: memory apart from the host's, and kernels.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/tape.h"
#include "mlx/array.h"
#include "mlx/primitive.h"

namespace mlx::core {

class GpuBackend {
 public:
  virtual ~GpuBackend() = default;

  /** "cuda", or "emulated". */
  virtual const char* kind() const = 0;
  /** How many devices there are: Device(gpu, 0) and so on. */
  virtual int count() const = 0;
  virtual std::unordered_map<std::string, std::variant<std::string, size_t>> info(int index) = 0;

  virtual std::shared_ptr<void> allocate(int index, size_t bytes) = 0;
  virtual void copy_to_device(int index, void* there, const void* host, size_t bytes) = 0;
  virtual void copy_to_host(int index, void* host, const void* there, size_t bytes) = 0;
  /** The host's bytes do not hold a value any more. */
  virtual void host_is_stale(void* /*host*/, size_t /*bytes*/) {}

  /** Called by a queue's thread before each task. */
  virtual void before_task() {}
  virtual bool has_kernel(const Primitive& primitive) const = 0;
  /** What eval_gpu of a primitive with a kernel means here. */
  virtual void run(Primitive& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) = 0;
  /** False: it runs on the host. */
  virtual bool run_tape(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
                        std::vector<array>& outputs, Device device) = 0;
};

/** Called once, while the library is loaded. */
void register_gpu_backend(std::unique_ptr<GpuBackend> backend);
/** Null if this machine has no GPU that Mica serves. */
GpuBackend* gpu_backend();

}  // namespace mlx::core
