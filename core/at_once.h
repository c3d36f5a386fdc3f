// core/at_once.h: small results that are computed as soon as they are asked for.
#pragma once

#include "mlx/array.h"

namespace mlx::core {

/** A result that needs few operations over few values, all of which only compute: a plan and tapes
 *  would take several times as long as the work. */
class AtOnce {
 public:
  /**
   * Computes a and what it needs, if it is such a one; returns whether it did. Call with the
   * planning lock held: nobody sees it half done. If it throws, what was computed is available.
   */
  bool compute(array& a);
  /** Lets go of how the results were made, which may run anything: without the lock. */
  void detach();

 private:
  bool collect(array& a, int depth);

  static constexpr int kMostNodes = 12;
  array* nodes_[kMostNodes];  // inputs before those that use them; each lies in its user's inputs
  int count_ = 0;
};

}  // namespace mlx::core
