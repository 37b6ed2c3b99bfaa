/* Finds out how the log writer can write to a descriptor without waiting for its reader.
 *
 * O_NONBLOCK belongs to the open file, which other processes share: a terminal that the shell reads
 * from, a pipe that a child writes to. So the flag is never set on a descriptor that the program
 * gave. A pipe or terminal is opened anew through /proc/self/fd, which makes an open file of the
 * sink's own. A socket takes the flag with each message. A file on a disk has no reader. All else
 * gets a thread of its own. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "logging/sink.h"

#define MEMORY_DEVICES 1 /* major number of /dev/null, /dev/full and their like */

/* ---- Descriptors of the program ---- */

/* A master of a pseudo-terminal opens as a new pair. */
static bool opens_anew(int fd, const struct stat *facts)
{
    unsigned number = 0;
    return S_ISFIFO(facts->st_mode) ||
           (S_ISCHR(facts->st_mode) && isatty(fd) == 1 && ioctl(fd, TIOCGPTN, &number) != 0);
}

/* Returns an own open file of what fd refers to, or -1. */
static int open_anew(int fd, int flags)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0 && (flags & O_DIRECT) != 0) { /* a pipe of packets stays one */
        (void)fcntl(own, F_SETFL, O_DIRECT | O_NONBLOCK);
    }
    return own;
}

static bool is_stream(int fd)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type == SOCK_STREAM;
}

/* A descriptor above those of stdio, for the sink alone; closes fd. */
static int lift(int fd)
{
    int own = fd;
    if (fd >= 0 && fd <= STDERR_FILENO) {
        own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        (void)close(fd);
    }
    return own;
}

mf_status mfi_sink_of_descriptor(mfi_sink *sink, int fd, mf_error *error)
{
    struct stat facts;
    int flags = fcntl(fd, F_GETFL);
    int own = flags >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
    if (own < 0 || fstat(own, &facts) != 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot log to descriptor %d", fd);
    }
    if ((flags & O_ACCMODE) == O_RDONLY) {
        (void)close(own);
        return mfi_fail_errno(error, MF_ERR_IO, EBADF, "cannot log to descriptor %d", fd);
    }
    sink->fd = own;
    sink->is_regular = S_ISREG(facts.st_mode);
    sink->is_pipe = S_ISFIFO(facts.st_mode);
    sink->is_socket = S_ISSOCK(facts.st_mode);
    sink->is_packet = sink->is_socket && !is_stream(own);
    sink->has_thread = !sink->is_regular && !sink->is_socket &&
                       !(S_ISCHR(facts.st_mode) && major(facts.st_rdev) == MEMORY_DEVICES);
    int anew = opens_anew(own, &facts) ? lift(open_anew(own, flags)) : -1;
    if (anew >= 0) {
        (void)close(own);
        sink->fd = anew;
        sink->has_thread = false;
    }
    return MF_OK;
}

/* ---- Files ---- */

/* O_NONBLOCK: a FIFO without a reader is an error instead of a wait. */
int mfi_sink_open(const char *path)
{
    return lift(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                     S_IRUSR | S_IWUSR));
}

/* The path from the root, for free(): the program may change its folder before the file is opened
 * anew. As given where the folder has no name. NULL without memory. */
static char *from_root(const char *path)
{
    char folder[PATH_MAX];
    bool is_relative = path[0] != '/' && getcwd(folder, sizeof folder) != NULL;
    size_t size = strlen(path) + 1;
    size_t before = is_relative ? strlen(folder) + 1 : 0;
    char *made = malloc(before + size);
    if (made != NULL && is_relative) {
        memcpy(made, folder, before - 1);
        made[before - 1] = '/';
    }
    if (made != NULL) {
        memcpy(made + before, path, size);
    }
    return made;
}

mf_status mfi_sink_of_path(mfi_sink *sink, const char *path, mf_error *error)
{
    struct stat facts;
    int fd = mfi_sink_open(path);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot open the log file '%s'", path);
    }
    sink->path = from_root(path);
    if (sink->path == NULL) {
        (void)close(fd);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a path");
    }
    sink->fd = fd;
    sink->is_regular = S_ISREG(facts.st_mode);
    sink->is_pipe = S_ISFIFO(facts.st_mode);
    return MF_OK;
}
