/* Checks whether enough descriptors are left, by opening some, and sees to it that 0 to 2 are open.
 * It exists because libzmq ends the program when it cannot open one of its own. */
#include "core/process/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"

static mf_status fail(unsigned count, int reason, mf_error *error)
{
    struct rlimit files = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    return mfi_fail_errno(error, MF_ERR_LIMIT, reason,
                          "no room for the %u file descriptors that a start may take, of %llu that "
                          "are allowed (RLIMIT_NOFILE)",
                          count, (unsigned long long)files.rlim_cur);
}

mf_status mfi_descriptors_check(unsigned count, mf_error *error)
{
    int opened[64];
    unsigned most = sizeof opened / sizeof opened[0];
    unsigned have = 0;
    int reason = 0;
    while (have < count && have < most && reason == 0) {
        opened[have] = eventfd(0, EFD_CLOEXEC);
        if (opened[have] < 0) {
            reason = errno;
        } else {
            have++;
        }
    }
    for (unsigned i = 0; i < have; i++) {
        (void)close(opened[i]);
    }
    return reason == 0 ? MF_OK : fail(count, reason, error);
}

void mfi_descriptors_fill_standard(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest that is free */
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}
