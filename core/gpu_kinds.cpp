// core/gpu_kinds.cpp: the questions about GPUs of one kind or of any.
#include <stdexcept>

#include "mlx/backend/cuda/cuda.h"
#include "mlx/backend/gpu/device_info.h"
#include "mlx/backend/metal/metal.h"
#include "mlx/device.h"

namespace mlx::core {

namespace gpu {

bool is_available() { return device_count() > 0; }
int device_count() { return mlx::core::device_count(Device::gpu); }
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
    int device_index) {
  return mlx::core::device_info(Device(Device::gpu, device_index));
}

}  // namespace gpu

namespace cu {

bool is_available() { return false; }
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(int) {
  throw std::runtime_error("[cuda] There is no CUDA device here.");
}

}  // namespace cu

namespace metal {

namespace {
[[noreturn]] void lacks_metal(const char* what) {
  throw std::runtime_error(std::string("[metal::") + what + "] There is no Metal device here.");
}
std::string& metallib_path() {
  static std::string path;
  return path;
}
}  // namespace

bool is_available() { return false; }
void start_capture(std::string) { lacks_metal("start_capture"); }
void stop_capture() { lacks_metal("stop_capture"); }
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info() {
  lacks_metal("device_info");
}
void set_metallib_path(const std::string& path) { metallib_path() = path; }
const std::string& get_metallib_path() { return metallib_path(); }

}  // namespace metal

}  // namespace mlx::core
