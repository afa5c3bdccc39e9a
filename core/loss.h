// Losses over the active outputs of one example.
#pragma once

#include <cmath>
#include <vector>

#include "batch.h"
#include "group.h"
#include "selector/selector.h"
#include "spec.h"

namespace hashgrad {

// Returns the loss and writes delta = d loss / d z of each active output, both times `weight`;
// delta also times `scale` (1 / batch size). output_weights (n_outputs, or null) weigh the logistic
// loss's labels.
//
//   softmax: -sum_y log p(y) / |labels|, p = softmax over the active outputs; several labels share the target evenly
//
//   logistic: sum_i [log(1 + exp(z_i)) - y_i z_i] over the active outputs
//
//   squared: 1/2 sum_i (z_i - y_i)^2, an output that is not active being 0
float loss_and_delta(Loss loss, const ActiveSet& outputs, const Targets& targets, uint64_t row, float weight,
                     float scale, const float* output_weights, std::vector<float>& delta);

constexpr float kNoSample = 1e9f;  // for log_chance: leaves a neuron out of the sum

// The same for up to sixteen examples of a pool, from column `from` on: z becomes delta, 0 for examples whose loss is
// at most `known` times their weight (-1: none), which do not learn.
// log_chance (of softmax, per neuron of the pool, or none): the logarithm of the chance that the neuron is in the pool
// by other examples' doing. Taken from z, it makes the sum over the pool stand for the sum over all outputs (Jean et
// al. 2015); what an example brought itself is sure to be there. What hashes
// alone brought to others has a chance that nobody knows; it counts as often as it would, had it been left to be drawn.
// pool_weights (logistic, per neuron of the pool, or none): what its terms count. output_weights are in them.
void pool_loss_and_delta(Loss loss, Pool& pool, size_t from, std::span<Example* const> examples, const Targets& targets,
                         const float* example_weights, float scale, const float* output_weights, float known,
                         std::span<const float> log_chance, std::span<const float> pool_weights);

// Losses are summed on a grid of 2^-24: sums of doubles are then exact, whatever the order and the grouping, and a
// history does not depend on how the epoch was cut into calls.
inline double on_grid(float loss) { return std::nearbyint(double{loss} * 0x1p24) * 0x1p-24; }

}  // namespace hashgrad
