// core/lru.h: a map of bounded size that forgets what has not been used for longest.
#pragma once

#include <list>
#include <unordered_map>
#include <utility>

namespace mlx::core {

/** Not synchronised. Values should be cheap to copy (shared pointers). */
template <class Key, class Value>
class Lru {
 public:
  explicit Lru(size_t limit) : limit_(limit) {}

  /** The value, now the most recent, or null. */
  Value* find(const Key& key) {
    auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    items_.splice(items_.begin(), items_, it->second);
    return &items_.front().second;
  }

  /** Replaces what the key had. Returns the value that had to go, if any, for the caller to drop
   * where that is safe. */
  Value put(const Key& key, Value value) {
    if (Value* old = find(key)) return std::exchange(*old, std::move(value));
    items_.emplace_front(key, std::move(value));
    index_.emplace(key, items_.begin());
    if (items_.size() <= limit_) return Value{};
    Value gone = std::move(items_.back().second);
    index_.erase(items_.back().first);
    items_.pop_back();
    return gone;
  }

  size_t size() const { return items_.size(); }

 private:
  using Items = std::list<std::pair<Key, Value>>;
  size_t limit_;
  Items items_;
  std::unordered_map<Key, typename Items::iterator> index_;
};

}  // namespace mlx::core
