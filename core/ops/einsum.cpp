// core/ops/einsum.cpp: sums of products in index notation, by pairwise contractions.
#include "mlx/einsum.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Labels = std::string;

struct Spec {
  std::vector<Labels> inputs;
  Labels output;
  std::map<char, int64_t> size;
};

[[noreturn]] void fail(const char* op, const std::string& why) {
  throw std::invalid_argument(std::string("[") + op + "] " + why);
}

/** Letters, with the axes of an ellipsis as characters from 1 upwards, counted from the last axis.
 */
Spec parse(const char* op, const std::string& text, const std::vector<array>& operands) {
  std::string subs;
  std::copy_if(text.begin(), text.end(), std::back_inserter(subs), [](char c) { return c != ' '; });
  Spec spec;
  size_t arrow = subs.find("->");
  std::string left = subs.substr(0, arrow);
  std::stringstream parts(left);
  std::string part;
  while (std::getline(parts, part, ',')) spec.inputs.push_back(part);
  if (!left.empty() && left.back() == ',') spec.inputs.push_back("");
  if (left.empty()) spec.inputs.push_back("");
  if (spec.inputs.size() != operands.size()) {
    fail(op, "Number of operands, " + std::to_string(operands.size()) +
                 ", does not match number of input subscripts, " +
                 std::to_string(spec.inputs.size()));
  }
  size_t widest = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    Labels& in = spec.inputs[i];
    size_t dots = in.find("...");
    if (dots != std::string::npos) {
      size_t letters = in.size() - 3;
      if (letters > operands[i].ndim())
        fail(op, "Subscripts '" + text + "' name more axes than operand " + std::to_string(i) +
                     " has.");
      size_t n = operands[i].ndim() - letters;
      widest = std::max(widest, n);
      Labels axes;
      for (size_t k = n; k > 0; --k) axes.push_back(static_cast<char>(k));
      in = in.substr(0, dots) + axes + in.substr(dots + 3);
    }
    if (in.size() != operands[i].ndim()) {
      fail(op, "Invalid number of subscripts " + std::to_string(in.size()) + " for input " +
                   std::to_string(i) + " with " + std::to_string(operands[i].ndim()) +
                   " dimensions.");
    }
    for (size_t k = 0; k < in.size(); ++k) {
      char c = in[k];
      if (c > 26 && !std::isalpha(static_cast<unsigned char>(c)))
        fail(op, "Subscripts must be letters, but got '" + text + "'.");
      int64_t n = operands[i].shape()[k];
      auto [it, added] = spec.size.try_emplace(c, n);
      if (!added && it->second != n) {
        if (it->second != 1 && n != 1)
          fail(op, "Cannot broadcast dimension " + std::to_string(k) + " of input " +
                       std::to_string(i) + " with shape " + to_string(operands[i].shape()) +
                       " to size " + std::to_string(it->second) + ".");
        it->second = std::max(it->second, n);
      }
    }
  }
  Labels ellipsis;
  for (size_t k = widest; k > 0; --k) ellipsis.push_back(static_cast<char>(k));
  if (arrow != std::string::npos) {
    spec.output = subs.substr(arrow + 2);
    size_t dots = spec.output.find("...");
    if (dots != std::string::npos)
      spec.output = spec.output.substr(0, dots) + ellipsis + spec.output.substr(dots + 3);
  } else {
    // Labels that occur once, in order of the alphabet, after the ellipsis.
    std::map<char, int> count;
    for (const auto& in : spec.inputs) {
      for (char c : in) ++count[c];
    }
    spec.output = ellipsis;
    for (auto [c, n] : count) {
      if (n == 1 && c > 26) spec.output.push_back(c);
    }
  }
  for (char c : spec.output) {
    if (!spec.size.count(c))
      fail(op, std::string("Output label '") + c + "' does not occur in the inputs.");
    if (std::count(spec.output.begin(), spec.output.end(), c) > 1)
      fail(op, std::string("Output label '") + c + "' occurs twice.");
  }
  return spec;
}

struct Term {
  Labels labels;
  array value;
};

/** One axis for each label: repeated ones become their diagonal, those nobody needs are summed. */
Term tidy(Term t, const std::set<char>& needed, StreamOrDevice s) {
  for (size_t i = 0; i < t.labels.size();) {
    size_t j = t.labels.find(t.labels[i], i + 1);
    if (j == std::string::npos) {
      ++i;
      continue;
    }
    t.value = diagonal(t.value, 0, static_cast<int>(i), static_cast<int>(j), s);
    char c = t.labels[i];
    t.labels.erase(j, 1);
    t.labels.erase(i, 1);
    t.labels.push_back(c);
  }
  std::vector<int> gone;
  Labels kept;
  for (size_t i = 0; i < t.labels.size(); ++i) {
    if (needed.count(t.labels[i])) {
      kept.push_back(t.labels[i]);
    } else {
      gone.push_back(static_cast<int>(i));
    }
  }
  if (!gone.empty()) t = {kept, sum(t.value, gone, false, s)};
  return t;
}

array ordered(const Term& t, const Labels& labels, StreamOrDevice s) {
  std::vector<int> axes;
  for (char c : labels) axes.push_back(static_cast<int>(t.labels.find(c)));
  return transpose(t.value, axes, s);
}

ShapeElem extent(const Labels& labels, const Spec& spec) {
  int64_t n = 1;
  for (char c : labels) n *= spec.size.at(c);
  return safe_cast<int64_t>(n, "einsum");
}

/** The product of two terms, summed over labels that only they have. */
Term contract(const Term& a, const Term& b, const std::set<char>& needed, const Spec& spec,
              StreamOrDevice s) {
  Labels batch, summed, left, right;
  auto in = [](const Labels& l, char c) { return l.find(c) != std::string::npos; };
  for (char c : a.labels)
    (in(b.labels, c) ? (needed.count(c) ? batch : summed) : left).push_back(c);
  for (char c : b.labels) {
    if (!in(a.labels, c)) right.push_back(c);
  }
  // Size-1 axes stretch to the label's size.
  auto matrix = [&](const Term& t, const Labels& first, const Labels& second) {
    Labels order = batch + first + second;
    array x = ordered(t, order, s);
    Shape full;
    for (char c : order) full.push_back(static_cast<ShapeElem>(spec.size.at(c)));
    x = broadcast_to(x, full, s);
    return reshape(x, {extent(batch, spec), extent(first, spec), extent(second, spec)}, s);
  };
  array x = matrix(a, left, summed), y = matrix(b, summed, right);
  array r = summed.empty() && left.empty() && right.empty() ? multiply(x, y, s) : matmul(x, y, s);
  Labels labels = batch + left + right;
  Shape shape;
  for (char c : labels) shape.push_back(static_cast<ShapeElem>(spec.size.at(c)));
  return {labels, reshape(r, shape, s)};
}

/** Pairs in the order of the smallest intermediate result; indices into the shrinking list. */
std::vector<std::vector<int>> greedy_path(const Spec& spec) {
  std::vector<Labels> terms = spec.inputs;
  std::vector<std::vector<int>> path;
  while (terms.size() > 2) {
    double best = -1;
    int bi = 0, bj = 1;
    Labels merged;
    for (int i = 0; i < static_cast<int>(terms.size()); ++i) {
      for (int j = i + 1; j < static_cast<int>(terms.size()); ++j) {
        std::set<char> outside(spec.output.begin(), spec.output.end());
        for (int k = 0; k < static_cast<int>(terms.size()); ++k) {
          if (k != i && k != j) outside.insert(terms[k].begin(), terms[k].end());
        }
        std::set<char> labels(terms[i].begin(), terms[i].end());
        labels.insert(terms[j].begin(), terms[j].end());
        double cost = 1;
        Labels result;
        for (char c : labels) {
          if (!outside.count(c)) continue;
          cost *= static_cast<double>(spec.size.at(c));
          result.push_back(c);
        }
        if (best < 0 || cost < best) {
          best = cost;
          bi = i;
          bj = j;
          merged = result;
        }
      }
    }
    path.push_back({bi, bj});
    terms.erase(terms.begin() + bj);
    terms.erase(terms.begin() + bi);
    terms.push_back(merged);
  }
  if (terms.size() == 2) {
    path.push_back({0, 1});
  } else {
    path.push_back({0});
  }
  return path;
}

}  // namespace

std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const std::vector<array>& operands) {
  if (operands.empty()) fail("einsum_path", "At least one operand is required.");
  Spec spec = parse("einsum_path", subscripts, operands);
  auto path = greedy_path(spec);
  // A product of n terms costs n - 1 multiplications an element, and an addition if labels go.
  auto flops = [&](const std::set<char>& labels, size_t terms, bool summed) {
    double n = static_cast<double>(std::max<size_t>(2, terms) - 1 + summed);
    for (char c : labels) n *= static_cast<double>(spec.size.at(c));
    return n;
  };
  std::set<char> all;
  for (auto [c, n] : spec.size) all.insert(c);
  std::set<char> kept(spec.output.begin(), spec.output.end());
  double naive = flops(all, operands.size(), kept.size() < all.size()), optimized = 0;
  size_t scaling = 0;
  std::vector<Labels> terms = spec.inputs;
  for (const auto& step : path) {
    std::set<char> labels, outside = kept;
    for (auto i = step.rbegin(); i != step.rend(); ++i) {
      labels.insert(terms[*i].begin(), terms[*i].end());
      terms.erase(terms.begin() + *i);
    }
    for (const auto& t : terms) outside.insert(t.begin(), t.end());
    Labels result;
    for (char c : labels) {
      if (outside.count(c)) result.push_back(c);
    }
    optimized += flops(labels, step.size(), result.size() < labels.size());
    scaling = std::max(scaling, labels.size());
    terms.push_back(result);
  }
  std::ostringstream report;
  report << "  Complete contraction:  " << subscripts << "\n         Naive scaling:  " << all.size()
         << "\n     Optimized scaling:  " << scaling << "\n      Naive FLOP count:  " << naive
         << "\n  Optimized FLOP count:  " << optimized << "\n";
  return {path, report.str()};
}

array einsum(const std::string& subscripts, const std::vector<array>& operands, StreamOrDevice s) {
  if (operands.empty()) fail("einsum", "At least one operand is required.");
  Spec spec = parse("einsum", subscripts, operands);
  std::vector<Term> terms;
  for (size_t i = 0; i < operands.size(); ++i) terms.push_back({spec.inputs[i], operands[i]});
  auto needed_without = [&](std::initializer_list<int> taken) {
    std::set<char> needed(spec.output.begin(), spec.output.end());
    for (int k = 0; k < static_cast<int>(terms.size()); ++k) {
      if (std::find(taken.begin(), taken.end(), k) == taken.end())
        needed.insert(terms[k].labels.begin(), terms[k].labels.end());
    }
    return needed;
  };
  for (const auto& step : greedy_path(spec)) {
    if (step.size() == 1) {
      terms[0] = tidy(terms[0], needed_without({0}), s);
      continue;
    }
    int i = step[0], j = step[1];
    auto outside = needed_without({i, j});
    auto with = [&](const Labels& other) {
      auto n = outside;
      n.insert(other.begin(), other.end());
      return n;
    };
    Term a = tidy(terms[i], with(terms[j].labels), s);
    Term b = tidy(terms[j], with(terms[i].labels), s);
    Term c = contract(a, b, outside, spec, s);
    terms.erase(terms.begin() + j);
    terms.erase(terms.begin() + i);
    terms.push_back(c);
  }
  return ordered(terms[0], spec.output, s);
}

}  // namespace mlx::core
