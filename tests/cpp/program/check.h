// check.h: what the parts of the program share.
#pragma once

#include <cstdio>
#include <string>

#include "mlx/mlx.h"

namespace mx = mlx::core;

inline int failures = 0;
inline int checks = 0;

inline void check(bool ok, const std::string& what) {
  ++checks;
  if (!ok) ++failures, std::printf("WRONG    %s\n", what.c_str());
}

inline void same(const mx::array& got, const mx::array& wanted, const std::string& what) {
  bool ok = got.shape() == wanted.shape() && mx::array_equal(got, wanted).item<bool>();
  check(ok, what);
  if (!ok)
    std::printf("         shape %zu-d, first axis %d\n", got.ndim(), got.ndim() ? got.shape(0) : 0);
}

inline void close(const mx::array& got, const mx::array& wanted, const std::string& what,
                  double tolerance = 1e-5) {
  check(
      got.shape() == wanted.shape() && mx::allclose(got, wanted, tolerance, tolerance).item<bool>(),
      what);
}

template <class Fn>
void throws(Fn fn, const std::string& what) {
  try {
    fn();
  } catch (const std::exception&) {
    return check(true, what);
  }
  check(false, what + ": nothing was thrown");
}

void graphs();    // derivatives, compile, export, primitives
void services();  // streams, memory, files, events
