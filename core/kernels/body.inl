// The kernels' one body. Included by level_*.cpp inside a namespace of its own per instruction set,
// so that the linker can never hand one level's code to another; for the same reason it uses no
// function of the standard library that is inline. Plain loops that the compiler vectorises, and
// intrinsics where they pay, each beside the plain form.
//
// Hogwild threads read and write the same weights without locks (Niu et al. 2011): a float may be a
// moment old, and an update may be lost when two threads meet on it, which sparse active sets make
// rare.

#include "kernels/vector.inl"  // first: the others are written in it

#include "kernels/block.inl"
#include "kernels/choose.inl"
#include "kernels/codes.inl"
#include "kernels/columns.inl"
#include "kernels/half.inl"
#include "kernels/hash.inl"
#include "kernels/limits.inl"
#include "kernels/matrix.inl"
#include "kernels/rows.inl"
#include "kernels/signs.inl"
#include "kernels/update.inl"

#ifdef __AVX512F__
constexpr Bfloat16 kBfloat16 = {multiply_pairs, pair_rows, pair_columns};
#else
constexpr Bfloat16 kBfloat16 = {};
#endif

constexpr Kernels kTable = {HASHGRAD_LEVEL,
                            axpy,
                            dot,
                            nonzeros,
                            positives,
                            dot_rows<float>,
                            dot_rows<uint16_t>,
                            add_rows,
                            sum_rows,
                            add_columns,
                            learn_columns,
                            {{update<Sgd, false>, update<Momentum, false>, update<Adagrad, false>, update<Adam, false>,
                              update<Sgd, false>, update<Adam, false, uint16_t>, update<RowAdam, false, uint16_t>},
                             {update<Sgd, true>, update<Momentum, true>, update<Adagrad, true>, update<Adam, true>,
                              update<Sgd, true>, update<Adam, true, uint16_t>, update<RowAdam, true, uint16_t>}},
                            {mean_square<false>, mean_square<true>},
                            widen,
                            narrow,
                            widen_moments,
                            narrow_moments,
                            largest,
                            above,
                            lowest,
                            project,
                            signs,
                            differing,
                            tabulate_signs,
                            match_signs,
                            quantize,
                            scan,
                            dot_codes,
                            add_codes,
                            multiply,
                            kBfloat16,
                            softmax,
                            logistic,
                            shift,
                            weigh,
                            stream,
                            products};
