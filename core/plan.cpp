// core/plan.cpp: ordering, fusion, tapes.
#include "core/plan.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <typeinfo>

#include "core/graph_access.h"
#include "core/prim/elementwise.h"
#include "core/prim/reduce.h"

namespace mlx::core {

namespace {

using Node = GraphAccess::Node;

enum class Kind : uint8_t { Other, Map, Reduce };  // Map: an elementwise op or a cast

struct Entry {
  array value;
  Kind kind;
  bool wanted = false;  // asked for by the caller, or held by somebody
  bool stored = false;  // gets memory
  int group = -1;       // index of the group's root entry
  int refs = 0;         // inputs in the plan that name it
  int first_use = 0;    // its consumers are uses[first_use .. first_use + refs)
};

struct Group {
  const Shape* shape = nullptr;
  Stream stream{0, Device::cpu};
  int members = 0;
  std::vector<const Node*> inputs;  // nodes outside the group, each once
};

Kind kind_of(const array& a) {
  const Primitive& p = a.primitive();
  if (is_map(p)) return Kind::Map;
  return typeid(p) == typeid(Reduce) ? Kind::Reduce : Kind::Other;
}

/** Working memory of planners, kept by each thread: a plan of a few nodes would spend more time on
 *  allocating it than on itself. */
struct PlanMemory {
  struct Visit {
    array value;
    size_t next;
  };
  std::vector<Entry> entries;
  std::vector<int> uses;
  std::vector<Group> groups;  // by root; those beyond the entries are what earlier plans left
  std::vector<int> stores;    // by root: outputs of the tape
  std::vector<int> members, pending;
  std::vector<uint16_t> value;  // by entry: its number in the tape
  std::vector<Visit> visits;
  std::vector<const Node*> inputs;
};
thread_local PlanMemory kept_memory;

class Planner {
 public:
  explicit Planner(const std::vector<array>& outputs)
      : epoch_(++last_epoch_), memory_(std::move(kept_memory)) {
    uses_.clear();
    stores_.clear();
    order(outputs);
    count_uses();
    for (const auto& out : outputs) {
      if (Entry* e = find(out)) e->wanted = true;
    }
    for (auto& e : entries_) {
      // References: one here, one for each input that names it; `outputs` holds wanted ones anyway.
      if (GraphAccess::use_count(e.value) > e.refs + 1) e.wanted = true;
    }
    fuse();
  }
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;
  ~Planner() {
    // Arrays may hold much, and letting them go may run anything, another plan included.
    entries_.clear();
    memory_.visits.clear();
    if (entries_.capacity() <= kKeptEntries) kept_memory = std::move(memory_);
  }

  Plan plan() {
    Plan plan;
    plan.tasks.reserve(entries_.size() < 8 ? entries_.size() : 0);
    for (size_t i = 0; i < entries_.size(); ++i) {
      Entry& e = entries_[i];
      if (e.kind == Kind::Other) {
        plan.tasks.push_back(primitive_task(e));
      } else if (e.group == static_cast<int>(i)) {
        plan.tasks.push_back(tape_task(static_cast<int>(i)));
      }
    }
    return plan;
  }

 private:
  Entry* find(const array& a) {
    Node* n = GraphAccess::node(a);
    return n->plan_epoch == epoch_ && n->plan_index >= 0 ? &entries_[n->plan_index] : nullptr;
  }

  // Depth first without recursion; inputs come before the nodes that use them.
  void order(const std::vector<array>& outputs) {
    auto& stack = memory_.visits;
    auto visit = [&](const array& a) {
      Node* n = GraphAccess::node(a);
      if (n->plan_epoch == epoch_ || a.status() != array::unscheduled) return;
      n->plan_epoch = epoch_;
      n->plan_index = -1;
      if (!a.has_primitive()) {
        throw std::invalid_argument(
            "[eval] Attempting to eval an array during function transformations like compile or "
            "vmap is not allowed.");
      }
      stack.push_back({a, 0});
    };
    for (const auto& out : outputs) {
      visit(out);
      while (!stack.empty()) {
        auto& top = stack.back();
        const auto& inputs = top.value.inputs();
        if (top.next < inputs.size()) {
          visit(inputs[top.next++]);
          continue;
        }
        Node* n = GraphAccess::node(top.value);
        if (n->plan_index < 0) append(top.value);
        stack.pop_back();
      }
    }
  }

  void append(const array& a) {
    Node* n = GraphAccess::node(a);
    n->plan_index = static_cast<int>(entries_.size());
    entries_.push_back({a, a.has_siblings() ? Kind::Other : kind_of(a)});
    if (!a.has_siblings()) return;
    // All outputs of one primitive are one entry, under the first one met.
    for (const auto& sibling : a.siblings()) {
      Node* s = GraphAccess::node(sibling);
      s->plan_epoch = epoch_;
      s->plan_index = n->plan_index;
    }
  }

  void count_uses() {
    for (auto& e : entries_) {
      for (const auto& in : e.value.inputs()) {
        if (Entry* producer = find(in)) ++producer->refs;
      }
    }
    int total = 0;
    for (auto& e : entries_) {
      e.first_use = total;
      total += e.refs;
      e.refs = 0;
    }
    uses_.resize(total);
    for (size_t i = 0; i < entries_.size(); ++i) {
      for (const auto& in : entries_[i].value.inputs()) {
        if (Entry* p = find(in)) uses_[p->first_use + p->refs++] = static_cast<int>(i);
      }
    }
  }

  void fuse() {
    if (groups_.size() < entries_.size()) groups_.resize(entries_.size());
    for (int i = static_cast<int>(entries_.size()) - 1; i >= 0; --i) {
      Entry& e = entries_[i];
      if (e.kind == Kind::Other) continue;
      int root = e.kind == Kind::Map ? consumer_group(i) : -1;
      if (root >= 0 && try_join(i, root)) continue;
      start_group(i);
    }
  }

  // The group with the earliest root among the consumers', if all others come after that root.
  int consumer_group(int i) const {
    const Entry& e = entries_[i];
    int root = -1;
    for (int k = 0; k < e.refs; ++k) {
      int g = entries_[uses_[e.first_use + k]].group;
      if (g >= 0 && (root < 0 || g < root)) root = g;
    }
    if (root < 0) return -1;
    for (int k = 0; k < e.refs; ++k) {
      int consumer = uses_[e.first_use + k];
      if (entries_[consumer].group != root && consumer <= root) return -1;
    }
    return root;
  }

  bool try_join(int i, int root) {
    Entry& e = entries_[i];
    Group& g = groups_[root];
    // A reduction reads its whole input: nothing of another shape may join, itself included.
    if (g.members >= Tape::kMaxInstrs || !(*g.shape == e.value.shape()) ||
        !(g.stream == e.value.primitive().stream())) {
      return false;
    }
    bool outside = e.wanted;
    for (int k = 0; k < e.refs; ++k) outside |= entries_[uses_[e.first_use + k]].group != root;
    if (!outputs_fit(root, outside)) return false;
    // Its result is no input of the group any more, its own inputs are.
    const Node* self = GraphAccess::node(e.value);
    size_t before = g.inputs.size();
    auto& kept = memory_.inputs;
    kept = g.inputs;
    std::erase(kept, self);
    for (const auto& in : e.value.inputs()) add_input(kept, in);
    if (kept.size() > Tape::kMaxInputs && kept.size() > before) return false;
    std::swap(g.inputs, kept);
    ++g.members;
    e.group = root;
    e.stored = outside;
    stores_[root] += outside;
    return true;
  }

  bool outputs_fit(int root, bool one_more) const {
    return !one_more || stores_[root] + 1 < Tape::kMaxInputs;
  }

  void start_group(int i) {
    if (stores_.empty()) stores_.resize(entries_.size(), 0);
    Entry& e = entries_[i];
    Group& g = groups_[i];
    g.shape = e.kind == Kind::Reduce ? &e.value.inputs()[0].shape() : &e.value.shape();
    g.stream = e.value.primitive().stream();
    g.members = 1;
    g.inputs.clear();
    for (const auto& in : e.value.inputs()) add_input(g.inputs, in);
    e.group = i;
    e.stored = true;
    stores_[i] = 1;
  }

  static void add_input(std::vector<const Node*>& inputs, const array& in) {
    const Node* n = GraphAccess::node(in);
    if (std::find(inputs.begin(), inputs.end(), n) == inputs.end()) inputs.push_back(n);
  }

  static Task primitive_task(Entry& e) {
    Task task;
    task.keep_graph = e.value.is_tracer();
    task.stream = e.value.primitive().stream();
    if (!e.value.has_siblings()) {
      task.nodes = {std::move(e.value)};
      return task;
    }
    task.nodes = e.value.outputs();
    for (auto& out : task.nodes) {
      // An output that has its value already is computed again, but into nobody's memory.
      if (out.status() != array::unscheduled) out = array(out.shape(), out.dtype(), nullptr, {});
    }
    return task;
  }

  Task tape_task(int root) {
    Task task;
    task.tape = std::make_unique<Tape>();
    task.shape = *groups_[root].shape;
    task.stream = groups_[root].stream;
    Tape& tape = *task.tape;

    // Members in topological order: all of them lie at or before the root.
    members_.clear();
    collect(root, root);
    std::sort(members_.begin(), members_.end());

    value_.resize(entries_.size());
    const size_t n = members_.size();
    task.operands.reserve(groups_[root].inputs.size());
    task.input_refs.reserve(groups_[root].inputs.size());
    tape.inputs.reserve(groups_[root].inputs.size());
    tape.instrs.reserve(n);
    task.nodes.reserve(n);
    for (int m : members_) {
      for (const auto& in : entries_[m].value.inputs()) {
        if (is_member(in, root)) continue;
        auto same = [&](const array& a) { return a.id() == in.id(); };
        auto it = std::find_if(task.operands.begin(), task.operands.end(), same);
        if (it == task.operands.end()) {
          task.operands.push_back(in);
          task.input_refs.push_back(1);
          tape.inputs.push_back(in.dtype().val());
        } else {
          ++task.input_refs[it - task.operands.begin()];
        }
      }
    }
    auto number = [&](const array& in) -> uint16_t {
      if (is_member(in, root)) return value_[GraphAccess::node(in)->plan_index];
      for (size_t k = 0; k < task.operands.size(); ++k) {
        if (task.operands[k].id() == in.id()) return static_cast<uint16_t>(k);
      }
      return 0;
    };
    std::vector<array> stored;
    stored.reserve(stores_[root]);
    tape.outputs.reserve(stores_[root]);
    for (int m : members_) {
      Entry& e = entries_[m];
      const auto& inputs = e.value.inputs();
      task.keep_graph |= e.value.is_tracer();
      if (e.kind == Kind::Reduce) {
        const auto& reduce = static_cast<const Reduce&>(e.value.primitive());
        tape.reduce = TapeReduce{reduce.op(), number(inputs[0]), inputs[0].dtype().val(),
                                 e.value.dtype().val()};
        continue;
      }
      TapeInstr instr{};
      instr.in = inputs.back().dtype().val();
      instr.out = e.value.dtype().val();
      instr.op = EwOp::Cast;
      if (auto* row = e.value.primitive().as_elementwise()) instr.op = row->op();
      for (size_t k = 0; k < inputs.size(); ++k) instr.args[k] = number(inputs[k]);
      value_[m] = static_cast<uint16_t>(tape.inputs.size() + tape.instrs.size());
      tape.instrs.push_back(instr);
      if (e.stored) {
        tape.outputs.push_back(value_[m]);
        stored.push_back(e.value);
      }
    }
    if (tape.reduce) stored.push_back(entries_[root].value);
    task.stored = std::move(stored);
    for (int m : members_) task.nodes.push_back(std::move(entries_[m].value));
    return task;
  }

  bool is_member(const array& in, int root) {
    Node* n = GraphAccess::node(in);
    return n->plan_epoch == epoch_ && n->plan_index >= 0 && entries_[n->plan_index].group == root;
  }

  // All members are reachable from the root through members.
  void collect(int i, int root) {
    auto& stack = memory_.pending;
    stack.assign(1, i);
    entries_[i].refs = -1;  // from here on: visited
    while (!stack.empty()) {
      int m = stack.back();
      stack.pop_back();
      members_.push_back(m);
      for (const auto& in : entries_[m].value.inputs()) {
        if (!is_member(in, root)) continue;
        int k = GraphAccess::node(in)->plan_index;
        if (entries_[k].refs == -1) continue;
        entries_[k].refs = -1;
        stack.push_back(k);
      }
    }
  }

  static inline std::atomic<uint64_t> last_epoch_ = 0;
  uint64_t epoch_;
  static constexpr size_t kKeptEntries = 4096;
  PlanMemory memory_;
  std::vector<Entry>& entries_ = memory_.entries;
  std::vector<int>& uses_ = memory_.uses;
  std::vector<Group>& groups_ = memory_.groups;
  std::vector<int>& stores_ = memory_.stores;
  std::vector<int>& members_ = memory_.members;
  std::vector<uint16_t>& value_ = memory_.value;
};

/** Whether a is all there is to compute, by a primitive of its own. */
bool stands_alone(const array& a) {
  if (a.status() != array::unscheduled || !a.has_primitive() || a.has_siblings() ||
      kind_of(a) == Kind::Map) {
    return false;
  }
  for (const auto& in : a.inputs()) {
    if (in.status() == array::unscheduled) return false;
  }
  return true;
}

Plan plan_of_one(const array& a) {
  Plan plan;
  Task& task = plan.tasks.emplace_back();
  task.keep_graph = a.is_tracer();
  task.stream = a.primitive().stream();
  task.nodes = {a};
  return plan;
}

}  // namespace

Plan make_plan(const std::vector<array>& outputs, const Event& event) {
  Plan plan = outputs.size() == 1 && stands_alone(outputs[0]) ? plan_of_one(outputs[0])
                                                              : Planner(outputs).plan();
  for (auto& task : plan.tasks) {
    for (auto& a : task.tape ? task.stored : task.nodes) {
      a.attach_event(event);
      a.set_status(array::evaluated);
    }
  }
  return plan;
}

Plan make_plan_apart(const std::vector<array>& outputs) { return Planner(outputs).plan(); }

}  // namespace mlx::core
