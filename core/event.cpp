// core/event.cpp: waiting for work that runs on another thread.
#include "core/event_state.h"
#include "core/scheduler.h"

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

void Event::signal(Stream stream) {
  scheduler::enqueue(stream, [event = *this]() mutable { event.signal(); });
}

void Event::wait(Stream stream) {
  scheduler::enqueue(stream, [event = *this]() mutable {
    try {
      event.wait();
    } catch (...) {  // for those who ask: a queue has nobody to tell
    }
  });
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

void Event::set_error(Error& err) {
  if (!state_) return;
  std::exception_ptr error;
  try {
    err.check();
    return;
  } catch (...) {
    error = std::current_exception();
  }
  std::lock_guard lock(state_->mutex);
  state_->error = std::move(error);
  state_->told = std::make_unique<Error>(err);
}

Error* Event::load_error() const {
  if (!state_) return nullptr;
  std::lock_guard lock(state_->mutex);
  if (state_->error && !state_->told) {
    std::string message = "unknown error";
    try {
      std::rethrow_exception(state_->error);
    } catch (const std::exception& e) {
      message = e.what();
    } catch (...) {
    }
    state_->told = std::make_unique<Error>();
    state_->told->set_message(std::make_shared<std::string>(std::move(message)));
  }
  return state_->told.get();
}

uint64_t Event::value() const {
  if (!state_) return 0;
  std::lock_guard lock(state_->mutex);
  return state_->value;
}

void Event::set_value(uint64_t v) {
  if (!state_) return;
  std::lock_guard lock(state_->mutex);
  state_->value = v;
}

}  // namespace mlx::core
