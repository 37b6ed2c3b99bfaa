/* Says where the kernel puts core files. It exists because the exit of a process tells that there
 * is a core file, and not where. The kernel may pass it to a program or into another namespace, so
 * the setting is shown as it stands, as a hint. */
#include "core/process/core_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

bool mfi_core_is_due(int signal)
{
    static const int dumping[] = {SIGABRT, SIGBUS, SIGFPE,  SIGILL,  SIGQUIT,
                                  SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
    for (size_t i = 0; i < sizeof dumping / sizeof dumping[0]; i++) {
        if (dumping[i] == signal) {
            return true;
        }
    }
    return false;
}

void mfi_core_pattern(char to[MFI_CORE_PATTERN_MAX])
{
    ssize_t got = 0;
    to[0] = '\0';
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    do {
        got = read(fd, to, MFI_CORE_PATTERN_MAX - 1);
    } while (got < 0 && errno == EINTR);
    (void)close(fd);
    to[got > 0 ? got : 0] = '\0';
    to[strcspn(to, "\n")] = '\0';
}
