/* The recorder's memory: its bounds, and the names of functions. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/recorder_inside.h"
#include "mf_test.h"

/* ---- Memory ---- */

/* All that is taken fits the bytes that were asked for, at both bounds. */
static void test_memory_is_as_asked_for(void)
{
    static const size_t sizes[] = {MFI_RECORDER_BYTES_LEAST, MFI_RECORDER_BYTES_MOST};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        mfi_recorder *made = NULL;
        mf_check_int(mfi_recorder_create(&made, sizes[i], MFI_NS_PER_S, NULL), MF_OK);
        size_t taken = made->group_count * sizeof *made->groups +
                       made->failure_count * sizeof *made->failures +
                       made->chunk_count * sizeof *made->chunks;
        mf_check(made->group_count > 1 && made->failure_count > 0 && made->chunk_count > 0);
        mf_check(taken <= sizes[i] && taken + sizeof *made->chunks > sizes[i]);
        mfi_recorder_destroy(made);
    }
    mfi_recorder_destroy(NULL);
}

/* ---- Names ---- */

/* The workers of a target share the slowest calls of a function. What finds no group of its own
 * shares the last one. */
static void test_functions_have_groups(void)
{
    enum { MANY = 200 };
    mfi_recorder *recorder = NULL;
    mfi_recorded_names add, sub, other, many[MANY];
    mf_check_int(mfi_recorder_create(&recorder, MFI_RECORDER_BYTES_DEFAULT, MFI_NS_PER_S, NULL),
                 MF_OK);
    mfi_recorder_name(recorder, &add, "math", "math-0", "add");
    mfi_recorder_name(recorder, &sub, "math", "math-0", "sub");
    mf_check(add.group != sub.group);
    mfi_recorder_name(recorder, &other, "math", "math-1", "add");
    mf_check(other.group == add.group);
    mfi_recorder_name(recorder, &other, "text", "text-0", "add");
    mf_check(other.group != add.group);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        mfi_recorder_name(recorder, &many[i], NULL, "serve", name);
    }
    mf_check(many[0].group != many[1].group);
    mf_check(many[MANY - 1].group == many[MANY - 2].group);
    mf_check(many[MANY - 1].group == &recorder->groups[recorder->group_count - 1]);
    mfi_recorder_name(NULL, &other, "math", "math-1", "add");
    mf_check(other.group == NULL);
    mfi_recorder_destroy(recorder);
}

/* Names are cut between characters, and the longest three fit the words. */
static void test_names_are_cut(void)
{
    char name[200];
    mfi_recorded_names names;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    mfi_recorder_name(NULL, &names, name, name, name);
    mf_check_int(names.lengths & 0xff, MFI_RECORD_TARGET_MAX);
    mf_check_int(names.lengths >> MFI_LENGTH_WORKER & 0xff, MFI_RECORD_NAME_MAX);
    mf_check_int(names.lengths >> MFI_LENGTH_FUNCTION & 0xff, MFI_RECORD_NAME_MAX);
    mf_check_int(names.count, MFI_RECORDED_NAME_WORDS);
    memcpy(name + MFI_RECORD_TARGET_MAX - 1, "\xc3\xa4", 3);
    mfi_recorder_name(NULL, &names, name, NULL, NULL);
    mf_check_int(names.lengths, MFI_RECORD_TARGET_MAX - 1);
}

static const mf_test tests[] = {
    {"recorder_memory__is_as_asked_for", test_memory_is_as_asked_for},
    {"recorder_memory__functions_have_groups", test_functions_have_groups},
    {"recorder_memory__names_are_cut", test_names_are_cut},
};
MF_TEST_MAIN(tests)
