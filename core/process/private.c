/* What a parent tells its worker through the environment. It exists so that both ends of it stand
 * in one file: the parent writes the variables, the worker takes them and leaves none of them to
 * the programs that it starts itself. */
#include "core/process/private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mutex.h"
#include "base/str.h"

typedef struct pipe_name {
    uint64_t device, inode; /* an inode of 0: no pipe */
} pipe_name;

static const char *const names[] = {MFI_PRIVATE_PORT, MFI_PRIVATE_MODE, MFI_PRIVATE_WORKER,
                                    MFI_PRIVATE_PIPES, MFI_PRIVATE_SEGMENT};

static mfi_mutex mutex = MFI_MUTEX_INIT;
static pipe_name taken[2]; /* guarded by mutex, as is the next */
static int segment = -1;   /* that nobody has taken yet */

bool mfi_private_is(const char *entry)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(entry, names[i], length) == 0 && entry[length] == '=') {
            return true;
        }
    }
    return false;
}

void mfi_private_name_pipes(char *to, int out_fd, int err_fd)
{
    struct stat out;
    struct stat err;
    if (fstat(out_fd, &out) != 0 || fstat(err_fd, &err) != 0) {
        (void)mfi_str_copy(to, MFI_PRIVATE_PIPES_MAX, MFI_PRIVATE_PIPES "=");
        return;
    }
    (void)mfi_str_format(to, MFI_PRIVATE_PIPES_MAX,
                         MFI_PRIVATE_PIPES "=%" PRIu64 ":%" PRIu64 ",%" PRIu64 ":%" PRIu64,
                         (uint64_t)out.st_dev, (uint64_t)out.st_ino, (uint64_t)err.st_dev,
                         (uint64_t)err.st_ino);
}

/* Reads one number and the character behind it; NULL if the text is another one. */
static const char *read_number(const char *at, char behind, uint64_t *ret_number)
{
    char *end = NULL;
    if (at == NULL || *at < '0' || *at > '9') {
        return NULL;
    }
    *ret_number = strtoull(at, &end, 10);
    return *end == behind ? end + 1 : NULL;
}

static bool read_pipes(const char *text, pipe_name *ret_pipes)
{
    const char *at = read_number(text, ':', &ret_pipes[0].device);
    at = read_number(at, ',', &ret_pipes[0].inode);
    at = read_number(at, ':', &ret_pipes[1].device);
    return read_number(at, '\0', &ret_pipes[1].inode) != NULL;
}

/* ---- The segment ---- */

/* A memfd is a file of shared memory that no folder has. Only such files have seals. */
static bool is_memfd(int fd, struct stat *ret_at)
{
    return fstat(fd, ret_at) == 0 && S_ISREG(ret_at->st_mode) && ret_at->st_nlink == 0 &&
           fcntl(fd, F_GET_SEALS) >= 0;
}

bool mfi_private_name_segment(char *to, int fd)
{
    struct stat at;
    if (fd <= STDERR_FILENO || !is_memfd(fd, &at)) {
        (void)mfi_str_copy(to, MFI_PRIVATE_SEGMENT_MAX, MFI_PRIVATE_SEGMENT "=");
        return false;
    }
    (void)mfi_str_format(to, MFI_PRIVATE_SEGMENT_MAX,
                         MFI_PRIVATE_SEGMENT "=%d:%" PRIu64 ":%" PRIu64, fd, (uint64_t)at.st_dev,
                         (uint64_t)at.st_ino);
    return true;
}

/* The descriptor that the text names; -1 if the text or the descriptor is another one. A program
 * between the parent and the worker may have closed the descriptor and opened its own. */
static int read_segment(const char *text)
{
    uint64_t number = 0;
    struct stat at;
    pipe_name named;
    const char *rest = read_number(text, ':', &number);
    rest = read_number(rest, ':', &named.device);
    if (read_number(rest, '\0', &named.inode) == NULL || number <= STDERR_FILENO ||
        number > INT_MAX || !is_memfd((int)number, &at) || at.st_dev != named.device ||
        at.st_ino != named.inode || fcntl((int)number, F_SETFD, FD_CLOEXEC) != 0) {
        return -1;
    }
    return (int)number;
}

int mfi_private_take_segment(void)
{
    mfi_mutex_lock(&mutex);
    int fd = segment;
    segment = -1;
    mfi_mutex_unlock(&mutex);
    return fd;
}

/* ---- The take ---- */

void mfi_private_take(void)
{
    pipe_name found[2] = {{0, 0}, {0, 0}};
    mfi_mutex_lock(&mutex);
    const char *text = getenv(MFI_PRIVATE_PIPES); /* NOLINT: a worker reads it before it runs */
    if (text != NULL && read_pipes(text, found)) {
        memcpy(taken, found, sizeof taken);
    }
    text = getenv(MFI_PRIVATE_SEGMENT); /* NOLINT: as above */
    if (text != NULL) {
        segment = read_segment(text);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unsetenv(names[i]); /* NOLINT: as above */
    }
    mfi_mutex_unlock(&mutex);
}

bool mfi_private_is_parents_pipe(int fd)
{
    struct stat at;
    bool is_one = false;
    if (fstat(fd, &at) != 0 || !S_ISFIFO(at.st_mode)) {
        return false;
    }
    mfi_mutex_lock(&mutex);
    for (size_t i = 0; i < 2; i++) {
        is_one = is_one || (taken[i].inode == at.st_ino && taken[i].device == at.st_dev);
    }
    mfi_mutex_unlock(&mutex);
    return is_one;
}
