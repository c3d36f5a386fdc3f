// core/lapack_path.cpp
#include "core/lapack_path.h"

#include <mutex>
#include <utility>

namespace mlx::core {

namespace {

struct Path {
  std::mutex mutex;
  std::string text;
};

Path& path() {
  static Path* p = new Path;  // outlives every thread
  return *p;
}

}  // namespace

void set_lapack_path(std::string text) {
  std::lock_guard lock(path().mutex);
  path().text = std::move(text);
}

std::string lapack_path() {
  std::lock_guard lock(path().mutex);
  return path().text;
}

}  // namespace mlx::core
