/* The folder of the registry, and its temporary files. It exists so that every change of the folder
 * is one system call, and killed processes leave nothing behind for long. */
#include "core/discovery/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/process/alive.h"

#define TEMP_PREFIX "mf-"
#define TEMP_SUFFIX ".tmp"
/* A file in use is never as old as this: the age after which a lock counts as left behind. */
#define LITTER_AGE_NS (10 * MFI_NS_PER_S)

/* ---- The folder ---- */

/* Many systems give every user a group of the same number, with no other member. */
static bool others_may_write(const struct stat *facts, bool in_closed_folder)
{
    bool is_own_group = facts->st_uid != 0 && facts->st_gid == facts->st_uid;
    bool group_may = (facts->st_mode & S_IWGRP) != 0 && !is_own_group && !in_closed_folder;
    return group_may || (facts->st_mode & S_IWOTH) != 0;
}

mf_status mfi_registry_check_trust(const struct stat *facts, bool in_closed_folder,
                                   const char *what, mf_error *error)
{
    if (facts->st_uid != geteuid() && facts->st_uid != 0) {
        return mfi_fail(error, MF_ERR_IO,
                        "%s belongs to user %u, and this process to user %u: it is not trusted",
                        what, (unsigned)facts->st_uid, (unsigned)geteuid());
    }
    if (others_may_write(facts, in_closed_folder)) {
        return mfi_fail(error, MF_ERR_IO,
                        "others may write to %s (its mode is %04o): it is not trusted", what,
                        (unsigned)(facts->st_mode & 07777));
    }
    return MF_OK;
}

/* The other languages make the folder with the umask's mode, 0755 as a rule. Makes it 0700. */
static void tighten(int fd, struct stat *facts)
{
    if ((facts->st_mode & 0077) != 0 && fchmod(fd, 0700) == 0) {
        (void)fstat(fd, facts);
    }
}

static mf_status check(mfi_registry_dir *dir, bool is_private, mf_error *error)
{
    struct stat facts;
    char what[PATH_MAX];
    if (fstat(dir->fd, &facts) != 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot look at the registry's folder '%s'",
                              dir->path);
    }
    if (is_private && facts.st_uid == geteuid()) {
        tighten(dir->fd, &facts);
    }
    dir->is_closed = (facts.st_mode & 0077) == 0;
    (void)mfi_str_format(what, sizeof what, "the registry's folder '%s'", dir->path);
    return mfi_registry_check_trust(&facts, false, what, error);
}

static mf_status open_checked(mfi_registry_dir *ret_dir, const char *path, bool is_private,
                              mf_error *error)
{
    *ret_dir =
        (mfi_registry_dir){.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .path = path};
    if (ret_dir->fd < 0) {
        return mfi_fail_errno(error, errno == ENOENT ? MF_ERR_NOT_FOUND : MF_ERR_IO, errno,
                              "cannot open the registry's folder '%s'", path);
    }
    mf_status status = check(ret_dir, is_private, error);
    if (status != MF_OK) {
        mfi_registry_dir_close(ret_dir);
    }
    return status;
}

mf_status mfi_registry_dir_open(mfi_registry_dir *ret_dir, const char *path, mf_error *error)
{
    return open_checked(ret_dir, path, false, error);
}

/* Makes an empty registry if there is none. link() never replaces a file. */
static mf_status make_file(const mfi_registry_dir *dir, mf_error *error)
{
    char name[MFI_TEMP_NAME_MAX];
    if (faccessat(dir->fd, MFI_REGISTRY_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return MF_OK;
    }
    mf_status status = mfi_temp_write(dir, name, "{}\n", 3, error);
    if (status != MF_OK) {
        return status;
    }
    if (linkat(dir->fd, name, dir->fd, MFI_REGISTRY_FILE, 0) != 0 && errno != EEXIST) {
        status = mfi_fail_errno(error, MF_ERR_IO, errno, "cannot make '%s/%s'", dir->path,
                                MFI_REGISTRY_FILE);
    }
    (void)unlinkat(dir->fd, name, 0);
    return status;
}

mf_status mfi_registry_dir_make(mfi_registry_dir *ret_dir, const char *path, bool is_private,
                                mf_error *error)
{
    *ret_dir = (mfi_registry_dir){.fd = -1, .path = path};
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot make the registry's folder '%s'",
                              path);
    }
    mf_status status = open_checked(ret_dir, path, is_private, error);
    return status == MF_OK ? make_file(ret_dir, error) : status;
}

void mfi_registry_dir_close(mfi_registry_dir *dir)
{
    if (dir->fd >= 0) {
        (void)close(dir->fd);
        dir->fd = -1;
    }
}

/* ---- Temporary names ---- */

void mfi_temp_name(char to[MFI_TEMP_NAME_MAX])
{
    static _Atomic(uint32_t) made;
    (void)mfi_str_format(to, MFI_TEMP_NAME_MAX, TEMP_PREFIX "%d-%u" TEMP_SUFFIX, (int)getpid(),
                         atomic_fetch_add_explicit(&made, 1, memory_order_relaxed));
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        data += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

mf_status mfi_temp_write(const mfi_registry_dir *dir, char ret_name[MFI_TEMP_NAME_MAX],
                         const void *data, size_t size, mf_error *error)
{
    mfi_temp_name(ret_name);
    (void)unlinkat(dir->fd, ret_name, 0); /* left by an earlier process with our pid */
    int fd = openat(dir->fd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write_all(fd, data, size) && fsync(fd) == 0) {
        (void)close(fd);
        return MF_OK;
    }
    int reason = errno;
    if (fd >= 0) {
        (void)close(fd);
        (void)unlinkat(dir->fd, ret_name, 0);
    }
    return mfi_fail_errno(error, MF_ERR_IO, reason, "cannot write '%s/%s'", dir->path, ret_name);
}

/* The pid in a temporary name; 0 for any other name. */
static int64_t owner_of(const char *name)
{
    char digits[16];
    int64_t pid = 0;
    size_t length = strlen(name);
    size_t tail = sizeof TEMP_SUFFIX - 1;
    if (strncmp(name, TEMP_PREFIX, sizeof TEMP_PREFIX - 1) != 0 || length < tail ||
        strcmp(name + length - tail, TEMP_SUFFIX) != 0) {
        return 0;
    }
    const char *start = name + sizeof TEMP_PREFIX - 1;
    (void)mfi_str_copy_n(digits, sizeof digits, start, strcspn(start, "-"));
    return mfi_parse_int(digits, 1, INT32_MAX, &pid) ? pid : 0;
}

void mfi_temp_sweep(const mfi_registry_dir *dir)
{
    struct stat facts;
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    for (struct dirent *at = readdir(list); at != NULL; at = readdir(list)) {
        int64_t pid = owner_of(at->d_name);
        if (pid != 0 && !mfi_process_alive(pid, NULL) &&
            fstatat(dir->fd, at->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
            mfi_is_far_off(&facts.st_mtim, LITTER_AGE_NS)) {
            (void)unlinkat(dir->fd, at->d_name, S_ISDIR(facts.st_mode) ? AT_REMOVEDIR : 0);
        }
    }
    (void)closedir(list);
}

static uint64_t time_ns(const struct timespec *stamp)
{
    return (uint64_t)stamp->tv_sec * MFI_NS_PER_S + (uint64_t)stamp->tv_nsec;
}

uint64_t mfi_age_ns(const struct timespec *stamp)
{
    uint64_t now = mfi_wall_ns();
    uint64_t then = time_ns(stamp);
    return then < now ? now - then : 0;
}

bool mfi_is_far_off(const struct timespec *stamp, uint64_t distance_ns)
{
    uint64_t now = mfi_wall_ns();
    uint64_t then = time_ns(stamp);
    return (then < now ? now - then : then - now) > distance_ns;
}
