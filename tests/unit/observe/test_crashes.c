/* The black box: what it keeps of a crash, for how long, and in which order it shows it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "mf_alloc.h"
#include "mf_test.h"

#define SHOWN_MAX 4096

/* What a visit showed. */
typedef struct shown {
    uint64_t numbers[SHOWN_MAX];
    size_t count, of_first; /* of_first: of the worker "math-0" */
    size_t text_bytes;
    mfi_crashes *box; /* NULL, or crashes come during the visit */
} shown;

static mf_crash_row a_crash(const char *worker)
{
    return (mf_crash_row){.target = "math", .worker = worker, .how = "exit", .exit_code = 3};
}

static void see(const mf_crash_row *row, void *user_data)
{
    shown *at = user_data;
    mf_check_int(row->struct_size, sizeof *row);
    mf_check(at->count < SHOWN_MAX);
    at->numbers[at->count++ % SHOWN_MAX] = row->number;
    at->of_first += strcmp(row->worker, "math-0") == 0 ? 1 : 0;
    at->text_bytes += row->err != NULL ? strlen(row->err) : 0;
    for (int i = 0; at->box != NULL && i < 2; i++) {
        mf_crash_row another = a_crash("math-0");
        another.struct_size = sizeof another;
        mfi_crashes_add(at->box, &another);
        mf_check_str(row->worker, "math-0"); /* though the box has dropped this one */
    }
}

static void add(mfi_crashes *box, const char *worker, const char *err)
{
    mf_crash_row row = a_crash(worker);
    row.struct_size = sizeof row;
    row.err = err;
    mfi_crashes_add(box, &row);
}

static void test_the_last_of_each_worker_are_kept(void)
{
    mfi_crashes box;
    shown at = {.count = 0};
    mfi_crashes_init(&box);
    add(&box, "math-1", NULL);
    for (int i = 0; i < 40; i++) {
        add(&box, "math-0", NULL);
    }
    mf_check_int(mfi_crashes_visit(&box, see, &at), 41);
    mf_check_int(at.of_first, MFI_CRASHES_KEPT);
    mf_check_int(at.count, MFI_CRASHES_KEPT + 1);
    for (size_t i = 0; i < MFI_CRASHES_KEPT; i++) {
        mf_check_int(at.numbers[i], 41 - i); /* the newest first */
    }
    mf_check_int(at.numbers[MFI_CRASHES_KEPT], 1); /* another worker's is not pushed out */
    mfi_crashes_keep(&box, 1);
    at = (shown){.count = 0};
    add(&box, "math-1", NULL);
    mf_check_int(mfi_crashes_visit(&box, see, &at), 42);
    mf_check_int(at.numbers[0], 42);
    mf_check_int(at.count - at.of_first, 1);
    mfi_crashes_fini(&box);
}

/* A storm of crashes of ever new workers: the oldest go. */
static void test_the_bytes_are_bounded(void)
{
    static shown at;
    char err[4 * MFI_CRASH_LINES_MAX];
    char worker[32];
    mfi_crashes box;
    memset(err, 'e', sizeof err - 1);
    err[sizeof err - 1] = '\0';
    mfi_crashes_init(&box);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(worker, sizeof worker, "math-%d", i);
        add(&box, worker, err);
        mf_check(box.bytes <= MFI_CRASHES_BYTES);
    }
    at = (shown){.count = 0};
    mf_check_int(mfi_crashes_visit(&box, see, &at), 2000);
    mf_check_int(at.numbers[0], 2000);
    mf_check_int(at.numbers[at.count - 1], 2000 - at.count + 1);
    mf_check_int(at.text_bytes, at.count * (MFI_CRASH_LINES_MAX - 1));
    mf_check(at.text_bytes < MFI_CRASHES_BYTES);
    mf_check(box.bytes + 2 * (box.bytes / at.count) > MFI_CRASHES_BYTES); /* and they are used */
    mfi_crashes_fini(&box);
}

/* No crash is freed while it is shown, and those that come meanwhile are not shown. */
static void test_crashes_may_come_during_a_visit(void)
{
    mfi_crashes box;
    shown at = {.box = &box};
    mfi_crashes_init(&box);
    mfi_crashes_keep(&box, 2);
    for (int i = 0; i < 2; i++) {
        add(&box, "math-0", NULL);
    }
    mf_check_int(mfi_crashes_visit(&box, see, &at), 2);
    mf_check_int(at.count, 1); /* the other one had made room */
    mf_check_int(at.numbers[0], 2);
    at = (shown){.count = 0};
    mf_check_int(mfi_crashes_visit(&box, see, &at), 4);
    mf_check_int(at.count, 2);
    mf_check_int(at.numbers[0], 4);
    mfi_crashes_fini(&box);
}

static void test_without_memory_a_crash_is_counted(void)
{
    for (long n = 0; n < 2; n++) { /* of the crash, and of the list */
        mfi_crashes box;
        shown at = {.count = 0};
        mfi_crashes_init(&box);
        mf_alloc_fail_at(n);
        add(&box, "math-0", NULL);
        mf_check(mf_alloc_stop());
        mf_check_int(mfi_crashes_visit(&box, see, &at), 1);
        mf_check_int(at.count, 0);
        add(&box, "math-0", NULL);
        mf_check_int(mfi_crashes_visit(&box, see, &at), 2);
        mf_check_int(at.count, 1);
        mfi_crashes_fini(&box);
    }
}

static const mf_test tests[] = {
    {"crashes__the_last_of_each_worker_are_kept", test_the_last_of_each_worker_are_kept},
    {"crashes__bytes_are_bounded", test_the_bytes_are_bounded},
    {"crashes__may_come_during_a_visit", test_crashes_may_come_during_a_visit},
    {"crashes__without_memory_are_counted", test_without_memory_a_crash_is_counted},
};
MF_TEST_MAIN(tests)
