// core/source.cpp
#include "core/source.h"

#include <atomic>
#include <new>
#include <stdexcept>
#include <typeinfo>

namespace mlx::core {

namespace {

std::atomic<SourceTracker*> the_tracker{nullptr};
thread_local SourceId scope = 0;

class AllocationFailed final : public std::bad_alloc {
 public:
  explicit AllocationFailed(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

constexpr const char* kMadeAt = " [made at ";

}  // namespace

void set_source_tracker(SourceTracker* tracker) { the_tracker.store(tracker); }

SourceId current_source() noexcept {
  if (scope != 0) return scope;
  SourceTracker* tracker = the_tracker.load(std::memory_order_relaxed);
  return tracker ? tracker->here() : 0;
}

std::optional<Source> source_of(SourceId id) {
  SourceTracker* tracker = the_tracker.load(std::memory_order_relaxed);
  if (id == 0 || !tracker) return std::nullopt;
  return tracker->source(id);
}

std::string source_text(SourceId id) {
  auto found = source_of(id);
  return found ? found->file + ":" + std::to_string(found->line) : std::string();
}

SourceScope::SourceScope(SourceId id) noexcept : outer_(scope) {
  if (id != 0) scope = id;
}
SourceScope::~SourceScope() { scope = outer_; }

void rethrow_from(SourceId id) {
  const std::string place = source_text(id);
  if (place.empty()) throw;
  try {
    throw;
  } catch (const std::exception& e) {
    std::string text = e.what();
    // Inside a compiled function the step has said it already.
    if (text.find(kMadeAt) != std::string::npos) throw;
    text.append(kMadeAt).append(place).append("]");
    const auto& type = typeid(e);
    // Types of somebody else's keep what they carry: they are thrown as they are.
    if (type == typeid(std::invalid_argument)) throw std::invalid_argument(text);
    if (type == typeid(std::out_of_range)) throw std::out_of_range(text);
    if (type == typeid(std::domain_error)) throw std::domain_error(text);
    if (type == typeid(std::runtime_error)) throw std::runtime_error(text);
    if (dynamic_cast<const std::bad_alloc*>(&e)) throw AllocationFailed(text);
    throw;
  }
}

}  // namespace mlx::core
