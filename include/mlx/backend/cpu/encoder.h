// include/mlx/backend/cpu/encoder.h: how an operation of one's own runs its kernel. Kernels run
// when they are dispatched: eval_cpu is called where and when the stream's work is done.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/stream.h"

namespace mlx::core::cpu {

class CommandEncoder {
 public:
  // What a kernel reads, writes and needs to stay alive: nothing to do, for it has run when
  // dispatch returns.
  void set_input_array(const array&) {}
  void set_output_array(array&) {}
  void add_temporary(const array&) {}
  void add_temporaries(const std::vector<array>&) {}

  template <class F, class... Args>
  void dispatch(F&& f, Args&&... args) {
    std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  }
};

inline CommandEncoder& get_command_encoder(Stream) {
  static CommandEncoder encoder;  // has no state
  return encoder;
}

}  // namespace mlx::core::cpu
