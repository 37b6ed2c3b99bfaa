/* The places beside the table: a ring of failures, and the slowest calls of each group. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/recorder_inside.h"
#include "mf_test.h"

#define KEEP_NS (10 * MFI_NS_PER_S)

static mfi_recorder *make(void)
{
    mfi_recorder *recorder = NULL;
    mf_check_int(mfi_recorder_create(&recorder, MFI_RECORDER_BYTES_LEAST, KEEP_NS, NULL), MF_OK);
    return recorder;
}

/* A call that took so long, and ended then. */
static mfi_words *call(uint64_t took_ns, uint64_t end_ns)
{
    static mfi_words words;
    memset(&words, 0, sizeof words);
    words.of[MFI_WORD_START] = end_ns - took_ns;
    words.of[MFI_WORD_END] = end_ns;
    return &words;
}

/* The text of a failure; it ends with a NUL, which a full one does not have in its place. */
static const char *error_of(mfi_recorder *recorder, size_t place)
{
    static char text[MFI_RECORD_ERROR_MAX + 1];
    for (size_t i = 0; i < MFI_RECORD_ERROR_MAX / 8; i++) {
        uint64_t word = mfi_word_load(&recorder->failures[place].error[i]);
        memcpy(text + 8 * i, &word, sizeof word);
    }
    return text;
}

static void test_failures_are_a_ring(void)
{
    mfi_recorder *recorder = make();
    mf_error error = MF_ERROR_INIT;
    (void)snprintf(error.message, sizeof error.message, "why");
    mf_check_int(mfi_recorder_keep_failure(recorder, call(1, 100), &error), 1);
    mf_check_str(error_of(recorder, 0), "why");
    for (uint64_t i = 2; i <= recorder->failure_count + 1; i++) {
        mf_check_int(mfi_recorder_keep_failure(recorder, call(1, 100 + i), NULL), i);
    }
    mf_check_str(error_of(recorder, 0), ""); /* another call's place now */
    mf_check_int(recorder->failures[0].call.words.of[MFI_WORD_END],
                 100 + recorder->failure_count + 1);
    mfi_recorder_destroy(recorder);
}

/* A place that another thread writes is left alone, and the call is not kept. */
static void test_a_place_has_one_writer(void)
{
    mfi_recorder *recorder = make();
    recorder->failures[0].call.version = 1;
    mf_check_int(mfi_recorder_keep_failure(recorder, call(1, 100), NULL), 0);
    mf_check_int(recorder->failures[0].call.words.of[MFI_WORD_END], 0);
    mf_check_int(mfi_recorder_keep_failure(recorder, call(1, 200), NULL), 2);
    struct mfi_recorder_group *group = &recorder->groups[0];
    group->taken = true;
    mfi_recorder_keep_slow(recorder, group, call(1, 100));
    mf_check_int(group->places[0].version, 0);
    mfi_recorder_destroy(recorder);
}

/* The longest error text fills its words, and is cut between characters. */
static void test_errors_are_cut(void)
{
    mfi_recorder *recorder = make();
    mf_error error = MF_ERROR_INIT;
    memset(error.message, 'x', sizeof error.message - 1);
    memcpy(error.message + MFI_RECORD_ERROR_MAX - 1, "\xc3\xa4", 2);
    mf_check_int(mfi_recorder_keep_failure(recorder, call(1, 100), &error), 1);
    mf_check_int(strlen(error_of(recorder, 0)), MFI_RECORD_ERROR_MAX - 1);
    mfi_recorder_destroy(recorder);
}

static bool has(const struct mfi_recorder_group *group, uint64_t took_ns)
{
    for (size_t i = 0; i < MFI_GROUP_PLACES; i++) {
        const mfi_kept *place = &group->places[i];
        if (place->version != 0 &&
            place->words.of[MFI_WORD_END] - place->words.of[MFI_WORD_START] == took_ns) {
            return true;
        }
    }
    return false;
}

static void test_the_slowest_stay_until_they_expire(void)
{
    mfi_recorder *recorder = make();
    struct mfi_recorder_group *group = &recorder->groups[0];
    for (uint64_t took = 1; took <= MFI_GROUP_PLACES; took++) {
        mf_check_int(group->floor, 0); /* a place is empty */
        mfi_recorder_keep_slow(recorder, group, call(took, 100 + took));
    }
    mf_check_int(group->floor, 1);
    mf_check_int(group->until, 101 + KEEP_NS);
    mfi_recorder_keep_slow(recorder, group, call(9, 200));
    mf_check(has(group, 9) && !has(group, 1));
    mfi_recorder_keep_slow(recorder, group, call(2, 201)); /* no slower than the fastest one */
    mf_check_int(group->floor, 2);
    mf_check(has(group, 2) && has(group, 3) && has(group, 4));
    mfi_recorder_keep_slow(recorder, group, call(1, 103 + KEEP_NS)); /* that of 102 has expired */
    mf_check(has(group, 1) && !has(group, 2));
    mfi_recorder_destroy(recorder);
}

static const mf_test tests[] = {
    {"recorder_kept__failures_are_a_ring", test_failures_are_a_ring},
    {"recorder_kept__a_place_has_one_writer", test_a_place_has_one_writer},
    {"recorder_kept__errors_are_cut", test_errors_are_cut},
    {"recorder_kept__the_slowest_stay_until_they_expire", test_the_slowest_stay_until_they_expire},
};
MF_TEST_MAIN(tests)
