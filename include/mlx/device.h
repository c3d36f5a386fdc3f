// include/mlx/device.h: where arrays are computed.
#pragma once

#include <string>
#include <unordered_map>
#include <variant>

namespace mlx::core {

struct Device {
  enum class DeviceType { cpu, gpu };
  static constexpr DeviceType cpu = DeviceType::cpu;
  static constexpr DeviceType gpu = DeviceType::gpu;

  Device(DeviceType type, int index = 0) : type(type), index(index) {}

  DeviceType type;
  int index;

  bool operator==(const Device&) const = default;
  bool operator<(const Device& rhs) const {
    return type != rhs.type ? type < rhs.type : index < rhs.index;
  }
};

inline bool operator==(const Device& device, Device::DeviceType type) {
  return device.type == type;
}

const Device& default_device();
void set_default_device(const Device& d);
bool is_available(const Device& d);
int device_count(Device::DeviceType type);
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
    const Device& d = default_device());

}  // namespace mlx::core
