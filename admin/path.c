/* The path of an admin socket: its folder, what may stand there, and the socket's file. It exists
 * so that nobody but the owner of the process can take its place or reach it, and a file that
 * belongs to something else is never removed. */
#include "admin/path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

#define NUMBER_MOST 16 /* sockets of one process at default paths */
#define BACKLOG 16
#define LOCK_WAIT_MS 1000 /* for another process that takes a place in the folder */
#define SERVICE_MOST 32   /* bytes of the service's name that the default path shows */

/* ---- The folder ---- */

static mf_status check_folder(int fd, const char *folder, mf_error *error)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot look at the folder '%s'", folder);
    }
    if (facts.st_uid != geteuid() && facts.st_uid != 0) {
        return mfi_fail(error, MF_ERR_IO,
                        "the folder '%s' belongs to user %u, and this process to user %u: it is "
                        "not trusted",
                        folder, (unsigned)facts.st_uid, (unsigned)geteuid());
    }
    if ((facts.st_mode & 0022) != 0 && (facts.st_mode & S_ISVTX) == 0) {
        return mfi_fail(error, MF_ERR_IO,
                        "others may write to the folder '%s' (its mode is %04o): it is not trusted",
                        folder, (unsigned)(facts.st_mode & 07777));
    }
    return MF_OK;
}

static mf_status open_folder(mfi_admin_path *path, mf_error *error)
{
    char folder[MFI_ADMIN_PATH_MAX];
    const char *slash = strrchr(path->text, '/');
    size_t length = slash != NULL ? (size_t)(slash - path->text) : 0;
    (void)mfi_str_copy(path->name, sizeof path->name, slash != NULL ? slash + 1 : path->text);
    if (slash == NULL) {
        (void)mfi_str_copy(folder, sizeof folder, ".");
    } else {
        (void)mfi_str_copy_n(folder, sizeof folder, path->text, length > 0 ? length : 1);
    }
    if (path->name[0] == '\0') {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "the path '%s' names a folder", path->text);
    }
    path->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (path->folder_fd < 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot open the folder '%s'", folder);
    }
    return check_folder(path->folder_fd, folder, error);
}

/* ---- What stands there ---- */

static socklen_t address_of(const mfi_admin_path *path, struct sockaddr_un *to)
{
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)mfi_str_copy(to->sun_path, sizeof to->sun_path, path->text);
    return sizeof *to;
}

/* A socket whose process has ended refuses connections. */
static bool is_dead(const mfi_admin_path *path)
{
    struct sockaddr_un address;
    socklen_t size = address_of(path, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused =
        fd >= 0 && connect(fd, (struct sockaddr *)&address, size) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd);
    }
    return refused;
}

static const char *kind_of(mode_t mode)
{
    return S_ISLNK(mode)   ? "a symbolic link"
           : S_ISREG(mode) ? "a file"
           : S_ISDIR(mode) ? "a folder"
                           : "of another kind";
}

/* Removes the socket of a process that has ended; MF_OK also if there is nothing. */
static mf_status clear_place(const mfi_admin_path *path, mf_error *error)
{
    struct stat facts;
    if (fstatat(path->folder_fd, path->name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT
                   ? MF_OK
                   : mfi_fail_errno(error, MF_ERR_IO, errno, "cannot look at '%s'", path->text);
    }
    if (!S_ISSOCK(facts.st_mode)) {
        return mfi_fail(error, MF_ERR_EXISTS, "'%s' is %s, and no socket: it is left as it is",
                        path->text, kind_of(facts.st_mode));
    }
    if (facts.st_uid != geteuid()) {
        return mfi_fail(error, MF_ERR_EXISTS,
                        "'%s' is a socket of user %u, and this process belongs to user %u: it is "
                        "left as it is",
                        path->text, (unsigned)facts.st_uid, (unsigned)geteuid());
    }
    if (!is_dead(path)) {
        return mfi_fail(error, MF_ERR_ADDRESS_IN_USE, "a process listens at '%s'", path->text);
    }
    if (unlinkat(path->folder_fd, path->name, 0) != 0 && errno != ENOENT) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot remove '%s', which a process left",
                              path->text);
    }
    return MF_OK;
}

/* ---- The socket ---- */

static mf_status make_socket(mfi_admin_path *path, int *ret_fd, mf_error *error)
{
    struct sockaddr_un address;
    struct stat facts;
    socklen_t size = address_of(path, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make a socket");
    }
    /* The mode of the socket becomes that of its file: at no time may others connect. */
    if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&address, size) != 0) {
        mf_status status =
            mfi_fail_errno(error, errno == EADDRINUSE ? MF_ERR_ADDRESS_IN_USE : MF_ERR_IO, errno,
                           "cannot make the socket '%s'", path->text);
        (void)close(fd);
        return status;
    }
    if (fstatat(path->folder_fd, path->name, &facts, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISSOCK(facts.st_mode) || listen(fd, BACKLOG) != 0) {
        mf_status status =
            mfi_fail_errno(error, MF_ERR_IO, errno, "cannot listen at '%s'", path->text);
        (void)close(fd);
        return status;
    }
    path->device = facts.st_dev;
    path->inode = facts.st_ino;
    *ret_fd = fd;
    return MF_OK;
}

/* Anyone who may read a folder can lock it, and /tmp all may read: so the wait has an end. */
static mf_status lock_folder(const mfi_admin_path *path, mf_error *error)
{
    const struct timespec pause = {.tv_nsec = 5 * (long)MFI_NS_PER_MS};
    uint64_t until = mfi_deadline_after_ms(mfi_monotonic_ns(), LOCK_WAIT_MS);
    while (flock(path->folder_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR && (errno != EWOULDBLOCK || mfi_monotonic_ns() >= until)) {
            return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot lock the folder of '%s'",
                                  path->text);
        }
        (void)nanosleep(&pause, NULL);
    }
    return MF_OK;
}

/* One process at a time takes the place of a dead one: else two might remove each other's. */
static mf_status take_place(mfi_admin_path *path, int *ret_fd, mf_error *error)
{
    mf_status status = open_folder(path, error);
    if (status == MF_OK) {
        status = lock_folder(path, error);
    }
    if (status == MF_OK) {
        status = clear_place(path, error);
    }
    if (status == MF_OK) {
        status = make_socket(path, ret_fd, error);
    }
    if (path->folder_fd >= 0) {
        (void)flock(path->folder_fd, LOCK_UN);
    }
    if (status != MF_OK) {
        if (path->folder_fd >= 0) {
            (void)close(path->folder_fd);
        }
        path->folder_fd = -1;
    }
    return status;
}

/* ---- The default ---- */

static mf_status write_path(mfi_admin_path *path, const char *text, mf_error *error)
{
    size_t length = strlen(text);
    path->folder_fd = -1;
    if (length == 0 || length >= sizeof path->text) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "the path of an admin socket has %zu bytes; it must have 1 to %zu", length,
                        sizeof path->text - 1);
    }
    (void)mfi_str_copy(path->text, sizeof path->text, text);
    return MF_OK;
}

static mf_status default_folder(char *to, size_t size, mf_error *error)
{
    const char *home = getenv("XDG_RUNTIME_DIR"); /* NOLINT: read once, at creation */
    if (home == NULL || home[0] != '/') {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "an admin socket needs a path: mf_admin_options.path is not set, and "
                        "XDG_RUNTIME_DIR names no folder");
    }
    if (mfi_str_format(to, size, "%s/multifrost", home) + 1 >= size) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "XDG_RUNTIME_DIR is too long for a socket");
    }
    if (mkdir(to, 0700) != 0 && errno != EEXIST) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot make the folder '%s'", to);
    }
    return MF_OK;
}

static mf_status listen_by_default(mfi_admin_path *path, int *ret_fd, const char *service,
                                   mf_error *error)
{
    char folder[MFI_ADMIN_PATH_MAX];
    char text[2 * MFI_ADMIN_PATH_MAX];
    char name[SERVICE_MOST + 1];
    (void)mfi_str_copy_n(name, sizeof name, service, strlen(service));
    for (char *at = name; *at != '\0'; at++) {
        *at = isalnum((unsigned char)*at) || strchr("._-", *at) != NULL ? *at : '_';
    }
    mf_error why; /* of the last number; the caller's stays empty if a later one is free */
    mfi_error_clear(&why);
    mf_status status = default_folder(folder, sizeof folder, error);
    if (status != MF_OK) {
        return status;
    }
    for (int number = 1; number <= NUMBER_MOST; number++) {
        char suffix[8] = "";
        if (number > 1) {
            (void)mfi_str_format(suffix, sizeof suffix, ".%d", number);
        }
        (void)mfi_str_format(text, sizeof text, "%s/%s.%d%s.sock", folder, name, (int)getpid(),
                             suffix);
        status = write_path(path, text, &why);
        if (status == MF_OK) {
            status = take_place(path, ret_fd, &why);
        }
        if (status != MF_ERR_ADDRESS_IN_USE) {
            break;
        }
    }
    if (status != MF_OK) {
        mfi_error_copy(error, &why);
    }
    return status;
}

mf_status mfi_admin_path_listen(mfi_admin_path *ret_path, int *ret_fd, const char *given,
                                const char *service, mf_error *error)
{
    if (given == NULL) {
        return listen_by_default(ret_path, ret_fd, service, error);
    }
    mf_status status = write_path(ret_path, given, error);
    return status == MF_OK ? take_place(ret_path, ret_fd, error) : status;
}

void mfi_admin_path_close(mfi_admin_path *path)
{
    struct stat facts;
    if (fstatat(path->folder_fd, path->name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
        facts.st_dev == path->device && facts.st_ino == path->inode) {
        (void)unlinkat(path->folder_fd, path->name, 0);
    }
    (void)close(path->folder_fd);
    path->folder_fd = -1;
}
