/* The peer of bench/instruments.c in C++: a histogram of Boost.Histogram. */
#include "bench/peers/histogram.h"

#include <boost/histogram.hpp>
#include <cmath>
#include <tuple>

namespace bh = boost::histogram;

using log_axis = bh::axis::regular<double, bh::axis::transform::log>;
using storage = bh::dense_storage<bh::accumulators::thread_safe<uint64_t>>;
using histogram = bh::histogram<std::tuple<log_axis>, storage>;

struct bench_boost_histogram {
    histogram cells;
};

bench_boost_histogram *bench_boost_histogram_make(void)
{
    return new bench_boost_histogram{
        bh::make_histogram_with(storage(), log_axis(27 * 32, std::exp2(-20), std::exp2(7)))};
}

void bench_boost_histogram_record(bench_boost_histogram *histogram, uint64_t duration_ns)
{
    histogram->cells(static_cast<double>(duration_ns) * 1e-9);
}

uint64_t bench_boost_histogram_count(const bench_boost_histogram *histogram)
{
    uint64_t count = 0;
    for (auto &&cell : bh::indexed(histogram->cells, bh::coverage::all)) {
        count += static_cast<uint64_t>(*cell);
    }
    return count;
}

void bench_boost_histogram_end(bench_boost_histogram *histogram)
{
    delete histogram;
}
