// What the kernels cost on this machine, for the choice between ways to do the same thing.
#pragma once

#include <map>
#include <string>

namespace hashgrad {

// Nanoseconds by name, each the least of several short runs; about a third of a second in all. Names end in the size of
// what was read, where that matters: near (256 KiB), middle (4 MiB), far (64 MiB).
//   stream.*   a cache line, read in order: what reading takes at least
//   line.*     a cache line of a neuron's row, times a block of the input
//   entry.*    an entry of a sparse input, gathered from a neuron's row
//   step.*     a cache line of a neuron's row, moved along the input
//   column.*   a cache line of an input's row, added to the neurons' sums
//   learn.*    a weight in the rows of an input: gradient and step
//   scan.*     16 bytes of a neuron's code
//   word       64 bits of a neuron's signature, matched with a query's numbers
//   choose     a number, among which the largest are chosen
//   project    an entry of an input, projected to 16 coordinates
//   bucket     a bucket of a hash table, and ten neurons in it
//   row        what there is to do for a row of weights beside reading it
//   product    a multiplication and addition, at best
//   meet       a meeting of two threads (0 where there is one processor)
std::map<std::string, double> calibrate();

}  // namespace hashgrad
