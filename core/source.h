// core/source.h: the places in the user's program that made the nodes of the graph.
#pragma once

#include <optional>
#include <string>

#include "mlx/array.h"

namespace mlx::core {

struct Source {
  std::string file;
  int line;
};

/** Knows the language the program is written in. One for the process, set once. */
class SourceTracker {
 public:
  virtual ~SourceTracker() = default;
  /** The place where the calling thread is now, 0 if it cannot be told. */
  virtual SourceId here() noexcept = 0;
  virtual std::optional<Source> source(SourceId id) = 0;
};
void set_source_tracker(SourceTracker* tracker);

/** Of a node made now by this thread: that of the scope, else what the tracker says. */
SourceId current_source() noexcept;
std::optional<Source> source_of(SourceId id);
/** "train.py:12", or nothing. */
std::string source_text(SourceId id);

/** Nodes made inside come from id: what a transformation makes of a node is where the node was. */
class SourceScope {
 public:
  explicit SourceScope(SourceId id) noexcept;
  ~SourceScope();
  SourceScope(const SourceScope&) = delete;
  SourceScope& operator=(const SourceScope&) = delete;

 private:
  SourceId outer_;
};

/** In a catch block: throws again what was caught, its text with the place, if that is known. */
[[noreturn]] void rethrow_from(SourceId id);

}  // namespace mlx::core
