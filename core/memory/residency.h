// core/memory/residency.h: which devices have the bytes of a buffer, and moving them when, and only
// when, they are needed elsewhere.
#pragma once

#include <memory>
#include <vector>

#include "mlx/allocator.h"
#include "mlx/device.h"

namespace mlx::core {

class Residency {
 public:
  /** The bytes of data in the memory of device; moved there if it does not have them. They stay
   * valid as long as the result is held, even if the host writes to its own. */
  static std::shared_ptr<void> on(allocator::Data& data, Device device);
  /** The value of data has been computed in memory of device, and is nowhere else. */
  static void born(allocator::Data& data, Device device, std::shared_ptr<void> memory);

  /** How often bytes were moved since the process began. */
  struct Moves {
    size_t to_device, to_host;
  };
  static Moves moves();

 private:
  friend class allocator::Data;
  struct Copy {
    Device device;
    std::shared_ptr<void> memory;
  };
  static void bring_to_host(allocator::Data& data);  // the lock is held
  std::vector<Copy> copies_;                         // each of them valid
};

}  // namespace mlx::core
