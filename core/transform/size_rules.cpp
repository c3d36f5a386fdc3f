// core/transform/size_rules.cpp: rules by sampling.
//
// Tracing is cheap, so a function is traced with each axis of its inputs one longer. Where that
// gives the same operations, the axis is a free size; axes that only change together with others of
// the same length are one size, and some only change in larger steps (what is split in two parts).
// Then up to three steps are made at once, along the same size or several, and every number of the
// trace (parameters and scalars; shapes follow by themselves) becomes the polynomial of degree
// three at most that those samples determine (Newton's forward differences). A last sample with all
// sizes changed by different amounts checks it.
#include "core/transform/size_rules.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>

#include "core/tracing.h"
#include "core/transform/rebuild.h"
#include "core/transform/trace.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

// The implicit broadcasts of a trace are made anew when it is used, so a node may not have one.
struct Sample {
  Traced traced;
  std::vector<const Traced::Node*> nodes;  // but implicit broadcasts
  std::vector<std::vector<int>> args;      // numbered without them
  std::vector<int> outputs;
  std::vector<FieldLeaves> leaves;
};

[[noreturn]] void refuse(const Primitive& p, const std::string& why) {
  throw std::invalid_argument(std::string("[export_function] ") + p.name() + " " + why);
}

Sample sample_of(Traced traced) {
  Sample s;
  s.traced = std::move(traced);
  std::vector<int> at(s.traced.n_values);
  for (int v = 0; v < s.traced.first_result(); ++v) at[v] = v;
  int next = s.traced.first_result();
  for (const auto& n : s.traced.nodes) {
    if (is_implicit_broadcast(*n.primitive)) {
      at[n.first] = at[n.args[0]];
      continue;
    }
    auto* fielded = dynamic_cast<const Fielded*>(n.primitive.get());
    if (!fielded) refuse(*n.primitive, "cannot be stored: only operations of the library can.");
    s.nodes.push_back(&n);
    std::vector<int> args;
    for (int v : n.args) args.push_back(at[v]);
    s.args.push_back(std::move(args));
    FieldLeaves leaves;
    fielded->write_fields(leaves);
    s.leaves.push_back(std::move(leaves));
    for (size_t k = 0; k < n.shapes.size(); ++k) at[n.first + k] = next++;
  }
  for (int v : s.traced.outputs) s.outputs.push_back(at[v]);
  return s;
}

const char* stored_name(const Traced::Node& n) {
  return dynamic_cast<const Fielded&>(*n.primitive).field_name();
}

bool same_bits(const array& a, const array& b) {
  if (a.id() == b.id()) return true;
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (!a.is_available() || !b.is_available() || !a.flags().row_contiguous ||
      !b.flags().row_contiguous) {
    return false;
  }
  return std::memcmp(a.data<char>(), b.data<char>(), a.nbytes()) == 0;
}

bool same_form(const Sample& a, const Sample& b) {
  if (a.nodes.size() != b.nodes.size() || a.outputs != b.outputs || a.args != b.args ||
      a.traced.constants.size() != b.traced.constants.size()) {
    return false;
  }
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const auto &x = *a.nodes[i], &y = *b.nodes[i];
    if (std::strcmp(stored_name(x), stored_name(y)) != 0 || x.dtypes != y.dtypes) return false;
    if (a.leaves[i].size() != b.leaves[i].size()) return false;
    for (size_t k = 0; k < a.leaves[i].size(); ++k) {
      const auto &p = a.leaves[i][k], &q = b.leaves[i][k];
      if (p.index() != q.index()) return false;
      if (std::holds_alternative<std::string>(p) && p != q) return false;
    }
    for (size_t k = 0; k < x.shapes.size(); ++k) {
      if (x.shapes[k].size() != y.shapes[k].size()) return false;
    }
  }
  for (size_t i = 0; i < a.traced.constants.size(); ++i) {
    const auto &x = a.traced.constants[i], &y = b.traced.constants[i];
    if (!same_bits(x, y) &&
        (x.ndim() != 0 || y.ndim() != 0 || x.dtype() != y.dtype() || x.dtype() == complex64)) {
      return false;
    }
  }
  return true;
}

/** What is fitted: whole numbers and real ones, each kind in one order. */
struct Numbers {
  std::vector<int64_t> whole;
  std::vector<double> real;
};

Numbers numbers_of(const Sample& s) {
  Numbers n;
  for (size_t i = 0; i < s.nodes.size(); ++i) {
    for (const auto& leaf : s.leaves[i]) {
      if (auto* v = std::get_if<int64_t>(&leaf)) n.whole.push_back(*v);
      if (auto* v = std::get_if<double>(&leaf)) n.real.push_back(*v);
    }
  }
  for (const auto& c : s.traced.constants) {
    if (c.ndim() == 0 && c.dtype() != complex64) n.real.push_back(c.item<double>());
  }
  return n;
}

struct Axis {
  size_t input;
  int axis;
};
/** Axes of one size, which changes by multiples of step. */
struct SizeGroup {
  std::vector<Axis> axes;
  int step = 1;
};

class Sampler {
 public:
  Sampler(const TraceFn& fun, const std::vector<array>& inputs) : fun_(fun), inputs_(inputs) {
    compute_captured();
    base_.emplace(sample_of(trace(inputs_)));
    find_sizes();
    while (!sample_subsets() || !numbers_follow()) {
    }
  }

  const Sample& base() const { return *base_; }
  const std::vector<SizeGroup>& sizes() const { return groups_; }

  SizeRule whole_rule(size_t i) const {
    SizeRule rule;
    for (const auto& [subset, numbers] : samples_) {
      int64_t c = 0;
      for_subsets(subset, [&](const std::vector<int>& part, bool odd) {
        int64_t v = samples_.at(part).whole[i];
        c += odd ? -v : v;
      });
      if (subset.empty()) {
        rule.base = c;
      } else if (c != 0) {
        rule.terms.push_back({c, subset});
      }
    }
    return rule;
  }

  RealRule real_rule(size_t i) const {
    RealRule rule;
    rule.value = samples_.at({}).real[i];
    if (!varies(i)) return rule;
    for (auto power : kPowers) {
      RealRule r = fitted(i, power);
      if (explains(r, i)) return r;
    }
    return rule;  // not reached: numbers_follow() has seen to that
  }

 private:
  Traced trace(const std::vector<array>& inputs) const {
    auto placeholders = make_placeholders(inputs);
    std::vector<array> outputs;
    {
      TracingScope scope;
      DynamicTracing dynamic(true);
      outputs = fun_(placeholders);
    }
    TraceOptions plain;
    plain.simplify = plain.fold = false;
    plain.see_through = true;
    Traced t = flatten_trace(placeholders, std::move(outputs), plain);
    if (t.escaped) {
      throw std::invalid_argument(
          "[export_function] The function uses an array that another transformation is tracing.");
    }
    return t;
  }

  // Arrays that the function holds but that have no value yet are the same in two traces.
  void compute_captured() const {
    std::unordered_set<std::uintptr_t> first;
    std::vector<array> alive, captured;
    for (int round = 0; round < 2; ++round) {
      auto placeholders = make_placeholders(inputs_);
      std::vector<array> outputs;
      {
        TracingScope scope;
        DynamicTracing dynamic(true);
        outputs = fun_(placeholders);
      }
      for (auto& a : independent_nodes(placeholders, outputs)) {
        if (round == 0) {
          first.insert(a.id());
        } else if (first.count(a.id())) {
          captured.push_back(a);
        }
        alive.push_back(a);
      }
    }
    alive.clear();
    if (!captured.empty()) eval(std::move(captured));
  }

  std::optional<Sample> try_sample(const std::vector<int64_t>& change,
                                   const std::vector<SizeGroup>& groups) const {
    std::vector<Shape> shapes;
    for (const auto& in : inputs_) shapes.push_back(in.shape());
    for (size_t s = 0; s < groups.size(); ++s) {
      for (const auto& a : groups[s].axes)
        shapes[a.input][a.axis] += static_cast<ShapeElem>(change[s] * groups[s].step);
    }
    std::vector<array> longer;
    for (size_t i = 0; i < inputs_.size(); ++i)
      longer.push_back(array(shapes[i], inputs_[i].dtype(), nullptr, {}));
    try {
      Sample s = sample_of(trace(longer));
      if (same_form(*base_, s)) return s;
    } catch (const std::exception&) {
      // The function does not take such shapes.
    }
    return std::nullopt;
  }

  // One longer alone would let an axis of 1 meet one of 2.
  bool is_free(const SizeGroup& group) const {
    return try_sample({1}, {group}) && try_sample({4}, {group});
  }

  void find_sizes() {
    std::map<std::pair<int, int>, SizeGroup> by_size_and_axis;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      for (int k = 0; k < static_cast<int>(inputs_[i].ndim()); ++k) {
        SizeGroup one{{{i, k}}};
        if (is_free(one)) {
          groups_.push_back(one);
        } else {
          by_size_and_axis[{inputs_[i].shape(k), k}].axes.push_back({i, k});
        }
      }
    }
    std::map<int, SizeGroup> by_size;
    for (auto& [key, group] : by_size_and_axis) {
      if (group.axes.size() > 1 && is_free(group)) {
        groups_.push_back(group);
      } else {
        auto& all = by_size[key.first].axes;
        all.insert(all.end(), group.axes.begin(), group.axes.end());
      }
    }
    std::vector<Axis> left;
    for (auto& [size, group] : by_size) {
      if (group.axes.size() > 1 && is_free(group)) {
        groups_.push_back(group);
      } else {
        tie_pairs(group.axes);
        left.insert(left.end(), group.axes.begin(), group.axes.end());
      }
    }
    if (left.size() <= kFewAxes) find_steps(left);
  }

  // Pairs that change together; what is not of a pair stays in axes.
  void tie_pairs(std::vector<Axis>& axes) {
    for (size_t i = 0; i < axes.size(); ++i) {
      for (size_t k = i + 1; k < axes.size(); ++k) {
        SizeGroup pair{{axes[i], axes[k]}};
        if (!is_free(pair)) continue;
        groups_.push_back(pair);
        axes.erase(axes.begin() + k);
        axes.erase(axes.begin() + i);
        --i;
        break;
      }
    }
  }

  // The last resort: axes whose lengths must be even, say. The others are fixed.
  void find_steps(const std::vector<Axis>& axes) {
    for (const Axis& axis : axes) {
      for (int step = 2; step <= kLargestStep; ++step) {
        SizeGroup one{{axis}, step};
        if (!is_free(one)) continue;
        groups_.push_back(one);
        break;
      }
    }
  }

  // False if some number follows no rule; then sizes it follows are made one, or fixed.
  bool numbers_follow() {
    for (size_t i = 0; i < samples_.at({}).whole.size(); ++i) {
      SizeRule rule = whole_rule(i);
      if (!check_ || rule.at(check_change_) == check_->whole[i]) continue;
      std::vector<int> involved;
      for (const auto& term : rule.terms)
        involved.insert(involved.end(), term.sizes.begin(), term.sizes.end());
      return restrict_sizes(involved);
    }
    for (size_t i = 0; i < samples_.at({}).real.size(); ++i) {
      if (!varies(i)) continue;
      bool good = false;
      for (auto power : kPowers) good = good || explains(fitted(i, power), i);
      if (good) continue;
      std::vector<int> involved;
      for (const auto& [subset, numbers] : samples_) {
        if (differ(numbers.real[i], samples_.at({}).real[i]))
          involved.insert(involved.end(), subset.begin(), subset.end());
      }
      return restrict_sizes(involved);
    }
    return true;
  }

  bool restrict_sizes(std::vector<int> involved) {
    std::sort(involved.begin(), involved.end());
    involved.erase(std::unique(involved.begin(), involved.end()), involved.end());
    auto size_of_group = [&](int g) {
      return inputs_[groups_[g].axes[0].input].shape(groups_[g].axes[0].axis);
    };
    for (size_t i = 0; i < involved.size(); ++i) {
      for (size_t k = i + 1; k < involved.size(); ++k) {
        auto &a = groups_[involved[i]], &b = groups_[involved[k]];
        if (size_of_group(involved[i]) != size_of_group(involved[k])) continue;
        a.axes.insert(a.axes.end(), b.axes.begin(), b.axes.end());
        a.step = std::max(a.step, b.step);
        groups_.erase(groups_.begin() + involved[k]);
        if (!is_free(groups_[involved[i]])) groups_.erase(groups_.begin() + involved[i]);
        return false;
      }
    }
    coarsen(involved.empty() ? groups_.size() - 1 : static_cast<size_t>(involved.back()));
    return false;
  }

  // Half a length follows a rule if the length is even: larger steps are tried, then it is fixed.
  void coarsen(size_t g) {
    SizeGroup& group = groups_[g];
    while (groups_.size() <= kFewAxes && ++group.step <= kLargestStep) {
      if (is_free(group)) return;
    }
    groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(g));
  }

  bool varies(size_t i) const {
    double v = samples_.at({}).real[i];
    for (const auto& [subset, numbers] : samples_) {
      if (differ(numbers.real[i], v)) return true;
    }
    return check_ && differ(check_->real[i], v);
  }

  bool explains(const RealRule& r, size_t i) const {
    constexpr double eps = 1e-6;  // numbers of float32 among them
    for (const auto& [subset, numbers] : samples_) {
      std::vector<int64_t> change(groups_.size(), 0);
      for (int s : subset) ++change[s];
      if (!close(r.at(change), numbers.real[i], eps)) return false;
    }
    return check_ && close(r.at(check_change_), check_->real[i], eps);
  }

  // False if a size turned out not to be free beside the others: it is fixed then.
  bool sample_subsets() {
    samples_.clear();
    samples_[{}] = numbers_of(*base_);
    int n = static_cast<int>(groups_.size());
    int degree = n <= 6 ? 3 : n <= 16 ? 2 : 1;
    std::vector<int> subset;
    std::optional<int> bad;
    std::function<void(int)> extend = [&](int from) {
      for (int s = from; s < n && !bad; ++s) {
        subset.push_back(s);
        std::vector<int64_t> change(n, 0);
        for (int t : subset) ++change[t];
        auto sample = try_sample(change, groups_);
        if (!sample) {
          bad = s;
          return;
        }
        samples_[subset] = numbers_of(*sample);
        if (static_cast<int>(subset.size()) < degree) extend(s);
        subset.pop_back();
      }
    };
    extend(0);
    check_.reset();
    if (!bad && n > 0) {
      check_change_.clear();
      for (int s = 0; s < n; ++s) check_change_.push_back(5 + 3 * s % 7);
      if (auto sample = try_sample(check_change_, groups_)) {
        check_ = numbers_of(*sample);
      } else {
        bad = n - 1;
      }
    }
    if (bad) groups_.erase(groups_.begin() + *bad);
    return !bad;
  }

  template <class F>
  static void for_subsets(const std::vector<int>& set, F f) {
    for (unsigned bits = 0; bits < 1u << set.size(); ++bits) {
      std::vector<int> part;
      for (size_t i = 0; i < set.size(); ++i) {
        if (bits >> i & 1) part.push_back(set[i]);
      }
      bool odd = (set.size() - part.size()) % 2;
      f(part, odd);
    }
  }

  static double moved(double v, RealRule::Power power) {
    switch (power) {
      case RealRule::inverse:
        return 1 / v;
      case RealRule::root:
        return v * v;
      case RealRule::inverse_root:
        return 1 / (v * v);
      default:
        return v;
    }
  }

  RealRule fitted(size_t i, RealRule::Power power) const {
    RealRule r;
    r.power = power;
    for (const auto& [subset, numbers] : samples_) {
      double c = 0, largest = 0;
      for_subsets(subset, [&](const std::vector<int>& part, bool odd) {
        double v = moved(samples_.at(part).real[i], power);
        c += odd ? -v : v;
        largest = std::max(largest, std::abs(v));
      });
      // A count comes back from a float32 with an error: the nearest whole number was meant.
      if (std::abs(c - std::round(c)) <= 1e-5 * largest) c = std::round(c);
      if (subset.empty()) {
        r.base = c;
      } else if (c != 0) {
        r.terms.push_back({c, subset});
      }
    }
    return r;
  }

  static bool differ(double a, double b) { return a != b && !(std::isnan(a) && std::isnan(b)); }
  static bool close(double a, double b, double eps) {
    return !differ(a, b) || std::abs(a - b) <= eps * std::abs(b);
  }

  static constexpr RealRule::Power kPowers[] = {RealRule::plain, RealRule::inverse, RealRule::root,
                                                RealRule::inverse_root};

  const TraceFn& fun_;
  const std::vector<array>& inputs_;
  std::optional<Sample> base_;
  std::vector<SizeGroup> groups_;
  static constexpr size_t kFewAxes = 16;
  static constexpr int kLargestStep = 8;
  std::map<std::vector<int>, Numbers> samples_;  // by the steps made: {0, 0, 2} is two along size 0
  std::optional<Numbers> check_;
  std::vector<int64_t> check_change_;
};

int place_of(const array& a, std::vector<array>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].id() == a.id()) return static_cast<int>(i);
  }
  tensors.push_back(a);
  return static_cast<int>(tensors.size()) - 1;
}

bool is_number(const array& a) {
  if (a.ndim() != 0 || a.dtype() == complex64) return false;
  return size_of(a.dtype()) < 8 || a.dtype() == float64;
}

StoredFunction stored(const Sample& s, const std::vector<array>& inputs, const Sampler* rules,
                      std::vector<array>& tensors) {
  StoredFunction f;
  size_t whole = 0, real = 0;
  auto whole_rule = [&](int64_t v) {
    size_t i = whole++;
    return rules ? rules->whole_rule(i) : SizeRule{v, {}};
  };
  auto real_rule = [&](double v) {
    size_t i = real++;
    RealRule r;
    r.value = v;
    return rules ? rules->real_rule(i) : r;
  };
  for (const auto& in : inputs) {
    StoredInput input;
    input.dtype = in.dtype();
    for (auto d : in.shape()) input.shape.push_back({d, {}});
    f.inputs.push_back(std::move(input));
  }
  if (rules) {
    for (size_t g = 0; g < rules->sizes().size(); ++g) {
      const auto& group = rules->sizes()[g];
      f.sizes.push_back(inputs[group.axes[0].input].shape(group.axes[0].axis));
      for (const auto& a : group.axes)
        f.inputs[a.input].shape[a.axis].terms = {{group.step, {static_cast<int>(g)}}};
    }
  }
  for (size_t i = 0; i < s.nodes.size(); ++i) {
    const auto& n = *s.nodes[i];
    StoredNode node;
    node.name = stored_name(n);
    for (const auto& leaf : s.leaves[i]) {
      if (auto* v = std::get_if<int64_t>(&leaf)) {
        node.leaves.emplace_back(whole_rule(*v));
      } else if (auto* v = std::get_if<double>(&leaf)) {
        node.leaves.emplace_back(real_rule(*v));
      } else {
        node.leaves.emplace_back(std::get<std::string>(leaf));
      }
    }
    node.args = s.args[i];
    node.shapes = n.shapes;
    node.dtypes = n.dtypes;
    f.nodes.push_back(std::move(node));
  }
  for (const auto& c : s.traced.constants) {
    StoredConstant k;
    k.dtype = c.dtype();
    if (c.ndim() == 0 && c.dtype() != complex64) {
      array value = c;
      k.number = real_rule(value.item<double>());
    }
    if (!is_number(c) && k.number.power == RealRule::fixed) k.tensor = place_of(c, tensors);
    f.constants.push_back(std::move(k));
  }
  f.outputs = s.outputs;
  return f;
}

}  // namespace

StoredFunction store_function(const TraceFn& fun, const std::vector<array>& inputs, bool shapeless,
                              std::vector<array>& tensors) {
  if (shapeless) {
    Sampler sampler(fun, inputs);
    return stored(sampler.base(), inputs, &sampler, tensors);
  }
  auto placeholders = make_placeholders(inputs);
  std::vector<array> outputs;
  {
    TracingScope scope;
    outputs = fun(placeholders);
  }
  TraceOptions options;
  options.see_through = true;
  Traced t = flatten_trace(placeholders, std::move(outputs), options);
  if (t.escaped) {
    throw std::invalid_argument(
        "[export_function] The function uses an array that another transformation is tracing.");
  }
  return stored(sample_of(std::move(t)), inputs, nullptr, tensors);
}

}  // namespace mlx::core
