// include/mlx/error.h: an error that is told later, by somebody else than the one it happened to.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace mlx::core {

class Error {
 public:
  using Message = std::shared_ptr<std::string>;

  void set_message(Message msg) { message_ = std::move(msg); }
  /** True if there is an error. */
  bool valid() const { return message_ != nullptr; }
  /** Takes the other's error, if it has one. */
  bool store_if_valid(const Error* ptr) {
    if (!ptr || !ptr->valid()) return false;
    message_ = ptr->message_;
    return true;
  }
  /** Throws std::runtime_error with the message, if there is one. */
  void check() {
    if (message_) throw std::runtime_error(*message_);
  }

 private:
  Message message_;
};

}  // namespace mlx::core
