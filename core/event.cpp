// core/event.cpp: waiting for work that runs on another thread.
#include "core/event_state.h"

namespace mlx::core {

Event::Event(Stream stream) : state_(std::make_shared<State>(stream)) {}

const Stream& Event::stream() const { return state_->stream; }

bool Event::is_signaled() const {
  if (!state_) return true;
  std::lock_guard lock(state_->mutex);
  return state_->done;
}

void Event::signal() { signal(nullptr); }

void Event::signal(std::exception_ptr error) {
  if (!state_) return;
  {
    std::lock_guard lock(state_->mutex);
    state_->done = true;
    state_->error = std::move(error);
  }
  state_->changed.notify_all();
}

void Event::progress() {
  if (!state_ || state_->waiters.load() == 0) return;
  bool wake = false;
  {
    std::lock_guard lock(state_->mutex);
    for (const auto* ready : state_->conditions) wake |= (*ready)();
  }
  if (wake) state_->changed.notify_all();
}

void Event::wait() {
  wait_until([] { return false; });
}

void Event::wait_until(const std::function<bool()>& ready) {
  if (!state_) return;
  std::unique_lock lock(state_->mutex);
  state_->waiters.fetch_add(1);
  state_->conditions.push_back(&ready);
  state_->changed.wait(lock, [&] { return state_->done || ready(); });
  std::erase(state_->conditions, &ready);
  state_->waiters.fetch_sub(1);
  if (state_->error && !ready()) std::rethrow_exception(state_->error);
}

void Event::check_error() {
  if (!state_) return;
  std::lock_guard lock(state_->mutex);
  if (state_->error) std::rethrow_exception(state_->error);
}

}  // namespace mlx::core
