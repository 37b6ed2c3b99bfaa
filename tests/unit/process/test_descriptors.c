/* Whether more descriptors may be opened, under a limit that the test sets. */
#include "core/process/descriptors.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mf_test.h"

/* The limit below which exactly `count` numbers are free. */
static rlim_t limit_for(unsigned count)
{
    int fd = 0;
    for (unsigned have = 0; have < count; fd++) {
        have += fcntl(fd, F_GETFD) < 0;
    }
    return (rlim_t)fd;
}

static int lowest_free(void)
{
    int fd = dup(STDERR_FILENO);
    (void)close(fd);
    return fd;
}

static void check_at_limit(unsigned count, unsigned allowed, mf_status wanted)
{
    mf_error error = MF_ERROR_INIT;
    int free_before = lowest_free();
    struct rlimit before;
    mf_check_int(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit now = {.rlim_cur = limit_for(allowed), .rlim_max = before.rlim_max};
    mf_check_int(setrlimit(RLIMIT_NOFILE, &now), 0);
    mf_status status = mfi_descriptors_check(count, &error);
    mf_check_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    mf_check_int(status, wanted);
    mf_check_int(lowest_free(), free_before);
    if (wanted != MF_OK) {
        char numbers[64];
        (void)snprintf(numbers, sizeof numbers, "the %u file descriptors", count);
        mf_check_contains(error.message, numbers);
        (void)snprintf(numbers, sizeof numbers, "of %d that are allowed (RLIMIT_NOFILE)",
                       (int)now.rlim_cur);
        mf_check_contains(error.message, numbers);
    }
}

static void test_enough(void)
{
    check_at_limit(MFI_START_DESCRIPTORS, MFI_START_DESCRIPTORS, MF_OK);
    check_at_limit(1, 1, MF_OK);
    check_at_limit(0, 0, MF_OK);
}

static void test_one_too_few(void)
{
    check_at_limit(MFI_START_DESCRIPTORS, MFI_START_DESCRIPTORS - 1, MF_ERR_LIMIT);
    check_at_limit(1, 0, MF_ERR_LIMIT);
}

/* More than it opens itself: then it cannot know. */
static void test_many(void)
{
    check_at_limit(100000, 63, MF_ERR_LIMIT);
    check_at_limit(100000, 64, MF_OK);
}

static const mf_test tests[] = {
    {"descriptors__as_many_as_are_needed", test_enough},
    {"descriptors__one_too_few", test_one_too_few},
    {"descriptors__many", test_many},
};
MF_TEST_MAIN(tests)
