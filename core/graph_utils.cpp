// core/graph_utils.cpp: walks over what has not been evaluated.
#include "mlx/graph_utils.h"

#include <algorithm>
#include <unordered_set>

#include "core/graph_walk.h"
#include "core/source.h"
#include "mlx/primitive.h"
#include "mlx/utils.h"

namespace mlx::core {

GraphWalk walk_graph(const std::vector<array>& outputs) {
  struct Visit {
    array value;
    size_t next;
  };
  GraphWalk found;
  std::unordered_set<std::uintptr_t> seen;
  std::vector<Visit> stack;
  auto visit = [&](const array& a) {
    if (!seen.insert(a.id()).second) return;
    if (a.has_siblings()) {
      for (const auto& s : a.siblings()) seen.insert(s.id());
    }
    if (!a.has_primitive() || a.is_available()) {
      found.leaves.push_back(a);
      return;
    }
    stack.push_back({a, 0});
  };
  for (const auto& out : outputs) {
    visit(out);
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.next < top.value.inputs().size()) {
        array in = top.value.inputs()[top.next++];
        visit(in);
        continue;
      }
      found.operations.push_back(top.value);
      stack.pop_back();
    }
  }
  return found;
}

namespace {

/** In quotes, as DOT wants names. */
std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

}  // namespace

const std::string& NodeNamer::get_name(const array& x) {
  auto it = names.find(x.id());
  if (it != names.end()) return it->second;
  std::string name;
  for (size_t n = names.size() + 1; n > 0; n = (n - 1) / 26)
    name.push_back(static_cast<char>('A' + (n - 1) % 26));
  std::reverse(name.begin(), name.end());
  return names.emplace(x.id(), std::move(name)).first->second;
}

void NodeNamer::set_name(const array& x, std::string n) { names[x.id()] = std::move(n); }

void print_graph(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs) {
  GraphWalk found = walk_graph(outputs);
  auto show = [&](const array& a) {
    os << namer.get_name(a) << " [" << to_string(a.shape()) << ", " << dtype_to_string(a.dtype())
       << "]";
  };
  auto list = [&](const std::vector<array>& arrays) {
    for (size_t i = 0; i < arrays.size(); ++i) {
      if (i) os << ", ";
      show(arrays[i]);
    }
  };
  os << "Inputs: ";
  list(found.leaves);
  os << "\nOutputs: ";
  list(outputs);
  os << "\n";
  for (const auto& a : found.operations) {
    os << a.primitive().name() << " ";
    list(a.inputs());
    os << " -> ";
    list(a.outputs());
    os << "\n";
  }
}

void export_to_dot(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs) {
  GraphWalk found = walk_graph(outputs);
  std::unordered_set<std::uintptr_t> wanted, shown;
  for (const auto& out : outputs) wanted.insert(out.id());
  auto name = [&](const array& a) { return quoted(namer.get_name(a)); };
  auto source = [&](const array& a) {
    if (shown.insert(a.id()).second) os << "{ rank=source; " << name(a) << "; }\n";
  };
  os << "digraph {\n";
  size_t number = 0;
  for (const auto& a : found.operations) {
    for (const auto& in : a.inputs()) {
      if (!in.has_primitive() || in.is_available()) source(in);
    }
    std::string box = "op" + std::to_string(++number);
    os << "{ " << box << " [label=" << quoted(a.primitive().name()) << ", shape=rectangle";
    if (std::string place = source_text(a.source()); !place.empty())
      os << ", tooltip=" << quoted(place);
    os << "]; }\n";
    for (const auto& in : a.inputs()) os << name(in) << " -> " << box << "\n";
    for (const auto& out : a.outputs()) {
      os << (wanted.count(out.id()) ? "{ rank=sink; " : "{ ") << name(out)
         << " [tooltip=" << quoted(to_string(out.shape()) + " " + dtype_to_string(out.dtype()))
         << "]; }\n";
      os << box << " -> " << name(out) << "\n";
    }
  }
  for (const auto& a : found.leaves) source(a);
  os << "}\n";
}

}  // namespace mlx::core
