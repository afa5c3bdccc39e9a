// Doors to teams of threads: how many there may be, how fast they meet, and for tests how a team fails and is sized.
#include <algorithm>
#include <atomic>

#include "bindings.h"
#include "pace.h"

namespace hashgrad {

namespace {

// A team some of whose members throw after so many meetings, and then another function of the same team. Returns the
// first function's error, how many members came to its end, and what each member saw of all others in the second one.
nb::tuple team_after_failure(int size, const std::vector<int>& failing, int meetings) {
  rule(size >= 1 && size <= 64, "size must be in [1, 64], got " + std::to_string(size));
  std::string error;
  std::atomic<int> finished{0}, total{0};
  std::vector<int> seen(static_cast<size_t>(size));
  {
    nb::gil_scoped_release release;
    Team team(size);
    try {
      team.run([&](const Member& me) {
        for (int k = 0; k < meetings; k++) me.meet();
        if (std::find(failing.begin(), failing.end(), me.index) != failing.end())
          throw std::out_of_range("member " + std::to_string(me.index));
        me.meet();
        finished++;
      });
    } catch (const std::out_of_range& thrown) {
      error = thrown.what();
    }
    team.run([&](const Member& me) {
      total += me.index;
      me.meet();
      seen[static_cast<size_t>(me.index)] = total;
    });
  }
  return nb::make_tuple(error, finished.load(), seen);
}

// Which members of a team took part in its runs, of so many members each, one run after another.
std::vector<std::vector<int>> team_runs(int size, const std::vector<int>& members) {
  rule(size >= 1 && size <= 64, "size must be in [1, 64], got " + std::to_string(size));
  std::vector<std::vector<int>> seen;
  for (const int n : members)
    rule(n >= 1 && n <= size, "members must be in [1, size = " + std::to_string(size) + "], got " + std::to_string(n));
  nb::gil_scoped_release release;
  Team team(size);
  for (const int n : members) {
    std::vector<int> counts(static_cast<size_t>(size));
    team.run(
        [&](const Member& me) {
          me.meet();
          counts[static_cast<size_t>(me.index)] += me.size;
          me.meet();
        },
        n);
    seen.push_back(counts);
  }
  return seen;
}

}  // namespace

void bind_threads(nb::module_& m) {
  m.def("hardware_threads", &hardware_threads);
  m.def("meeting_time", [] { return Team(2).meeting_time(); }, nb::call_guard<nb::gil_scoped_release>());
  m.def("team_after_failure", &team_after_failure, "size"_a, "failing"_a, "meetings"_a);
  m.def("team_runs", &team_runs, "size"_a, "members"_a);
  nb::class_<Pace>(m, "Pace")
      .def(nb::init<>())
      .def("members", &Pace::members, "most"_a)
      .def("note", &Pace::note, "examples"_a, "seconds"_a, "lost"_a)
      .def_prop_ro("stretch", &Pace::stretch);
  m.def(
      "script_pace",
      [](Network& net, const std::vector<int>& members) {
        for (const int n : members) rule(n >= 1, "members must be at least 1, got " + std::to_string(n));
        net.pace().script(members);
      },
      "network"_a, "members"_a);
}

}  // namespace hashgrad
