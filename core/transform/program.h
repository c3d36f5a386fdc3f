// core/transform/program.h: a traced function whose plan is made once and then only run.
#pragma once

#include <memory>
#include <vector>

#include "core/tape.h"
#include "core/transform/traced.h"

namespace mlx::core {

/** Immutable once made; any number of threads may run it at a time. */
class Program {
 public:
  explicit Program(const Traced& traced);

  /**
   * Gives outputs, which have the shapes of the trace, their values. Inputs are available; one that
   * nobody else can see may be moved out of its vector and written over, and then `spent` is true:
   * a run that fails afterwards cannot be repeated.
   */
  void run(std::vector<array>& inputs, std::vector<array>& outputs, bool& spent) const;

  size_t n_steps() const { return steps_.size(); }

 private:
  struct Step {
    std::unique_ptr<Tape> tape;  // or a primitive
    Shape shape;                 // what the tape runs over
    Device device = Device::cpu;
    std::shared_ptr<Primitive> primitive;
    std::vector<int> args;
    std::vector<char> last;  // by argument: nothing looks at the value afterwards
    std::vector<int> results;
  };
  struct Value {
    Shape shape;
    Dtype dtype;
    SourceId source;
  };
  void note_last_uses();

  int n_inputs_;
  std::vector<array> constants_;
  std::vector<Step> steps_;
  std::vector<Value> values_;  // of all numbers
  std::vector<int> outputs_;
};

}  // namespace mlx::core
