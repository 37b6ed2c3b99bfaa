/* Which calls are sampled, and how their time is divided. */
#include "core/server/sampling.h"

#include <unistd.h>

#include "mf_test.h"

static mfi_handler_times divide(mfi_thread_clocks began, mfi_thread_clocks ended)
{
    mfi_handler_times times = {.one_in = 0};
    mfi_sampling_divide(&began, &ended, &times);
    return times;
}

static void check_times(mfi_handler_times times, uint64_t on_cpu, uint64_t runnable,
                        uint64_t blocked)
{
    mf_check_int(times.ns[MFI_HANDLER_ON_CPU], on_cpu);
    mf_check_int(times.ns[MFI_HANDLER_RUNNABLE], runnable);
    mf_check_int(times.ns[MFI_HANDLER_BLOCKED], blocked);
}

/* Readings surround the wall clock's, so the other clocks may have gone further. */
static void test_states_add_up(void)
{
    const mfi_thread_clocks began = {.wall = 1000, .cpu = 500, .delay = 70};
    check_times(divide(began, (mfi_thread_clocks){1100, 530, 90}), 30, 20, 50);
    check_times(divide(began, (mfi_thread_clocks){1100, 601, 90}), 100, 0, 0);
    check_times(divide(began, (mfi_thread_clocks){1100, 560, 170}), 60, 40, 0);
    check_times(divide(began, (mfi_thread_clocks){1000, 501, 71}), 0, 0, 0);
    check_times(divide(began, (mfi_thread_clocks){1100, 500, 0}), 0, 0, 100); /* delay unknown */
}

static void test_delay_is_the_second_number(void)
{
    mf_check_int(mfi_sampling_parse_delay("12 345 6\n"), 345);
    mf_check_int(mfi_sampling_parse_delay("0 0 0\n"), 0); /* a kernel that counts none */
    mf_check_int(mfi_sampling_parse_delay("12"), 0);
    mf_check_int(mfi_sampling_parse_delay(""), 0);
    mf_check_int(mfi_sampling_parse_delay("x"), 0);
}

static uint32_t count(uint32_t one_in, uint32_t calls)
{
    mfi_sampling sampling;
    mfi_handler_times times;
    uint32_t sampled = 0;
    uint64_t stood_for = 0;
    mfi_sampling_init(&sampling, one_in);
    sampling.pause_ns = 0;
    for (uint32_t i = 0; i < calls; i++) {
        if (mfi_sampling_begins(&sampling)) {
            mfi_sampling_end(&sampling, &times);
            stood_for += times.one_in;
            mf_check_int(stood_for, (uint64_t)i + 1);
            sampled++;
        }
    }
    mfi_sampling_fini(&sampling);
    return sampled;
}

static void test_one_call_in_so_many(void)
{
    mf_check_int(count(0, 1000), 0);
    mf_check_int(count(1, 1000), 1000);
    uint32_t sampled = count(64, 64000); /* 1000 in the mean, with a deviation below 20 */
    mf_check(sampled > 800 && sampled < 1200);
    mf_check_int(count(INT32_MAX, 1) <= 1, 1);
}

/* However many calls there are, a thread takes no second one before the pause is over. The next one
 * stands for all of them. */
static void test_pauses(void)
{
    mfi_sampling sampling;
    mfi_handler_times times = {.one_in = 0};
    uint32_t sampled = 0;
    mfi_sampling_init(&sampling, 4);
    mf_check(sampling.pause_ns > 0);
    sampling.pause_ns = UINT64_MAX;
    for (uint32_t i = 0; i < 1000; i++) {
        if (mfi_sampling_begins(&sampling)) {
            mfi_sampling_end(&sampling, &times);
            sampled++;
        }
    }
    mf_check_int(sampled, 1);
    uint32_t before = times.one_in;
    sampling.pause_ns = 0;
    uint32_t more = 0;
    while (!mfi_sampling_begins(&sampling)) {
        more++;
    }
    mfi_sampling_end(&sampling, &times);
    mf_check_int(before + times.one_in, 1000 + more + 1);
    mfi_sampling_fini(&sampling);
}

/* Two functions that are called in turns are both seen. */
static void test_distances_vary(void)
{
    mfi_sampling sampling;
    mfi_handler_times times;
    uint32_t seen[2] = {0, 0};
    mfi_sampling_init(&sampling, 2);
    sampling.pause_ns = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        if (mfi_sampling_begins(&sampling)) {
            mfi_sampling_end(&sampling, &times);
            seen[i % 2]++;
        }
    }
    mfi_sampling_fini(&sampling);
    mf_check(seen[0] > 100 && seen[1] > 100);
}

/* The file is opened at the first sampled call, kept open, and closed once. */
static void test_descriptor_is_kept(void)
{
    mfi_sampling sampling;
    mfi_handler_times times;
    mfi_sampling_init(&sampling, 1);
    mf_check_int(sampling.delay_fd, -1);
    for (int i = 0; i < 2; i++) {
        mf_check(mfi_sampling_begins(&sampling));
        mfi_sampling_end(&sampling, &times);
    }
    int fd = sampling.delay_fd;
    bool is_there = access("/proc/thread-self/schedstat", R_OK) == 0;
    mf_check(is_there ? fd >= 0 : fd < -1);
    mfi_sampling_fini(&sampling);
    mf_check(lseek(fd, 0, SEEK_CUR) == -1);
    mfi_sampling none = {0};
    mfi_sampling_fini(&none); /* leaves descriptor 0 alone */
    mf_check(!mfi_sampling_begins(&none));
}

static const mf_test tests[] = {
    {"sampling__states_add_up_to_the_time", test_states_add_up},
    {"sampling__delay_is_the_second_number", test_delay_is_the_second_number},
    {"sampling__takes_one_call_in_so_many", test_one_call_in_so_many},
    {"sampling__pauses", test_pauses},
    {"sampling__distances_vary", test_distances_vary},
    {"sampling__keeps_one_descriptor", test_descriptor_is_kept},
};
MF_TEST_MAIN(tests)
