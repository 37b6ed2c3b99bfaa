/* Writes lines to a descriptor. The system does not split a write of at most PIPE_BUF bytes to a
 * pipe. So whole lines are grouped up to that size, and lines of several processes do not mix. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "logging/logger.h"

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            (void)poll(&ready, 1, -1); /* a slow reader delays only the writer thread */
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Bytes of the longest run of whole lines that fits PIPE_BUF, or of a longer first line. */
static size_t pipe_run(const char *lines, size_t size)
{
    size_t run = 0;
    while (run < size) {
        const char *newline = memchr(lines + run, '\n', size - run);
        size_t end = (size_t)(newline - lines) + 1;
        if (end > PIPE_BUF && run > 0) {
            break;
        }
        run = end;
        if (run > PIPE_BUF) {
            break;
        }
    }
    return run;
}

bool mfi_sink_write(const mfi_sink *sink, const char *lines, size_t size)
{
    bool complete = true;
    while (sink->is_pipe && size > 0) {
        size_t run = pipe_run(lines, size);
        complete = write_all(sink->fd, lines, run) && complete;
        lines += run;
        size -= run;
    }
    return size == 0 ? complete : write_all(sink->fd, lines, size);
}
