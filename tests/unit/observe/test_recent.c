/* What grew in the last minute, by readings at times of the test's choice. */
#include "core/observe/recent.h"

#include "mf_test.h"

#define S MFI_NS_PER_S

static uint64_t grown(mfi_recent *recent, uint64_t at_s, uint64_t total)
{
    const uint64_t totals[MFI_RECENT_VALUES] = {total, 2 * total, 0, 7};
    uint64_t ret[MFI_RECENT_VALUES];
    mfi_recent_read(recent, (1000 + at_s) * S, totals, ret);
    mf_check_int(ret[1], 2 * ret[0]);
    mf_check_int(ret[2], 0);
    mf_check_int(ret[3], 0); /* what there was before the first reading did not happen now */
    return ret[0];
}

static void test_since_the_first_reading(void)
{
    mfi_recent recent = {.count = 0};
    mf_check_int(grown(&recent, 0, 50), 0);
    mf_check_int(grown(&recent, 1, 53), 3);
    mf_check_int(grown(&recent, 59, 60), 10);
}

/* One call in each second: a minute and at most a step of them are seen, however often it is read.
 */
static void test_a_minute_is_seen(void)
{
    mfi_recent recent = {.count = 0};
    for (uint64_t at = 0; at < 600; at++) {
        uint64_t seen = grown(&recent, at, at);
        mf_check_int(grown(&recent, at, at), seen);
        mf_check(at < 60 ? seen == at : seen >= 60 && seen < 65);
    }
}

static void test_it_passes_after_a_minute(void)
{
    mfi_recent recent = {.count = 0};
    (void)grown(&recent, 0, 0);
    mf_check_int(grown(&recent, 5, 100), 100);
    for (uint64_t at = 6; at < 65; at++) {
        mf_check_int(grown(&recent, at, 100), 100);
    }
    mf_check_int(grown(&recent, 70, 100), 0);
}

/* Nobody looked for a while: what happened then is not of the last minute. */
static void test_pauses_begin_anew(void)
{
    mfi_recent recent = {.count = 0};
    (void)grown(&recent, 0, 0);
    mf_check_int(grown(&recent, 119, 4), 4);
    mf_check_int(grown(&recent, 240, 1000), 0);
    mf_check_int(grown(&recent, 241, 1001), 1);
    mf_check_int(grown(&recent, 242, 0), 0); /* a total that was set back */
}

static const mf_test tests[] = {
    {"recent__since_the_first_reading", test_since_the_first_reading},
    {"recent__a_minute_is_seen", test_a_minute_is_seen},
    {"recent__it_passes_after_a_minute", test_it_passes_after_a_minute},
    {"recent__pauses_begin_anew", test_pauses_begin_anew},
};
MF_TEST_MAIN(tests)
