/* Takes the locks, and recognises the lock of a killed process.
 *
 * Every language has a lock of its own and knows no other. Python makes the file registry.lock,
 * writes its pid and holds flock on it. Go makes the file services.lock and leaves it empty.
 * JavaScript makes the folder services.json.lock. We take all three in this order, and release them
 * in reverse. If one of them is taken, we release those before it, and then wait: peers that wait
 * only a short time, or not at all, must not suffer from a lock that another process left behind.
 *
 * The word. If a holder is killed, the next process must not wait for the ten seconds after which a
 * lock without a name counts as left behind. So every lock names its holder from the moment it
 * exists. We make a file with our pid and mark under a temporary name, flock() it, and link it to
 * both registry.lock and services.lock. We make the folder too, write its inode and its time stamp
 * into the word, and then move the folder to its place. link() and renameat2(RENAME_NOREPLACE) do
 * not replace, so they exclude just as O_EXCL and mkdir() do.
 *
 * Breaking. We break registry.lock only while we hold flock on it and the path still names that
 * file, and only in two cases. Its pid belongs to no living process, or to a process that started
 * after the lock was written. Or it has no pid (it is empty, or garbage) and is older than ten
 * seconds. Then we remove services.lock too if it is the same file, and services.json.lock if it is
 * the folder of the word, but both only while they are so young that no peer may break them by its
 * own rule, so that we never remove what a peer has just made in their place. We remove
 * registry.lock last, so that a process that is killed while it breaks leaves the word to the next
 * one. Otherwise only the holder of registry.lock judges the other two locks: each is broken if it
 * is older than ten seconds, services.lock also if its word names a dead process.
 *
 * A time stamp more than ten seconds in the future counts as one in the past: the clock was set
 * back, and no living holder has a lock for so long. A pid in a lock that is our own counts as dead
 * if no thread of ours holds flock: in a container every life of a service has the same pid. What
 * no language makes under these names (a folder, a link, a pipe) is never followed, opened or
 * removed: it is named in an error at once. */
#include "core/discovery/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/number.h"
#include "base/str.h"
#include "core/process/alive.h"

#define STALE_NS (10 * MFI_NS_PER_S) /* the age at which Go and JavaScript break a lock */
#define YOUNG_NS (9 * MFI_NS_PER_S)  /* safely below STALE_NS, after which peers break a lock */
#define WORD_MAX 192
/* Waits between attempts: the first, and the longest. Chosen, not measured. */
#define WAIT_FIRST_MS 2
#define WAIT_MOST_MS 20

enum { PYTHON, GO, JAVASCRIPT, LOCKS };
static const char *const names[LOCKS] = {"registry.lock", "services.lock", "services.json.lock"};

/* ---- The word ---- */

typedef struct word {
    int64_t pid; /* 0: no pid could be read */
    char mark[MFI_PROCESS_MARK_MAX];
    int64_t folder_inode, folder_time; /* 0: unknown */
} word;

static mf_status write_word(const mfi_registry_lock *lock, mf_error *error)
{
    char text[WORD_MAX];
    char mark[MFI_PROCESS_MARK_MAX];
    mfi_process_mark(getpid(), mark);
    size_t length = mfi_str_format(
        text, sizeof text, "%d %s %llu %llu", (int)getpid(), mark[0] != '\0' ? mark : "-",
        (unsigned long long)lock->folder_inode, (unsigned long long)lock->folder_time);
    if (pwrite(lock->fd, text, length, 0) != (ssize_t)length) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot write '%s/%s'", lock->dir->path,
                              lock->word_name);
    }
    return MF_OK;
}

/* Reads a lock's word. Python's holds only a pid, Go's nothing. */
static word read_word(int fd)
{
    char text[WORD_MAX];
    word found = {.pid = 0};
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    if (length < 0) {
        return found;
    }
    text[length] = '\0';
    char *rest = text;
    const char *pid = strsep(&rest, " \n");
    const char *mark = strsep(&rest, " \n");
    const char *inode = strsep(&rest, " \n");
    const char *stamp = strsep(&rest, " \n");
    (void)mfi_parse_int(pid, 1, INT32_MAX, &found.pid);
    (void)mfi_str_copy(found.mark, sizeof found.mark,
                       mark != NULL && strcmp(mark, "-") != 0 ? mark : "");
    if (inode != NULL && stamp != NULL) {
        (void)mfi_parse_int(inode, 1, INT64_MAX, &found.folder_inode);
        (void)mfi_parse_int(stamp, 1, INT64_MAX, &found.folder_time);
    }
    return found;
}

static int open_lock(const mfi_registry_dir *dir, const char *name)
{
    return openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* True if the holder has ended. A word with our pid was left by an earlier process that had it: the
 * caller holds the lock's flock, or the lock before it, which a thread of ours would hold. A word
 * without a mark is of a process that ran when the word was written. A process that started later
 * only has the same pid. */
static bool is_dead(const word *holder, const struct stat *facts)
{
    return holder->pid != 0 &&
           (holder->pid == getpid() || !mfi_process_alive(holder->pid, holder->mark) ||
            (holder->mark[0] == '\0' && mfi_process_started_after(holder->pid, &facts->st_mtim)));
}

static uint64_t time_of(const struct stat *facts)
{
    return (uint64_t)facts->st_mtim.tv_sec * MFI_NS_PER_S + (uint64_t)facts->st_mtim.tv_nsec;
}

static bool look(const mfi_registry_dir *dir, const char *name, struct stat *ret_facts)
{
    return fstatat(dir->fd, name, ret_facts, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- Breaking: true when the lock is gone, or was already ---- */

static bool is_left_behind(int fd, word *ret_word, struct stat *ret_facts)
{
    if (fstat(fd, ret_facts) != 0) {
        return false;
    }
    *ret_word = read_word(fd);
    return ret_word->pid == 0 ? mfi_is_far_off(&ret_facts->st_mtim, STALE_NS)
                              : is_dead(ret_word, ret_facts);
}

/* Removes the other locks of the dead holder of registry.lock. */
static void clear_rest(const mfi_registry_dir *dir, const word *from, const struct stat *facts)
{
    struct stat other;
    if (look(dir, names[JAVASCRIPT], &other) && S_ISDIR(other.st_mode) &&
        other.st_ino == (ino_t)from->folder_inode &&
        time_of(&other) == (uint64_t)from->folder_time && mfi_age_ns(&other.st_mtim) < YOUNG_NS) {
        (void)unlinkat(dir->fd, names[JAVASCRIPT], AT_REMOVEDIR);
    }
    if (look(dir, names[GO], &other) && other.st_ino == facts->st_ino &&
        mfi_age_ns(&other.st_mtim) < YOUNG_NS) {
        (void)unlinkat(dir->fd, names[GO], 0);
    }
}

static bool break_python(const mfi_registry_dir *dir)
{
    word holder;
    struct stat facts;
    struct stat now;
    bool gone = false;
    int fd = open_lock(dir, names[PYTHON]);
    if (fd < 0) {
        return errno == ENOENT;
    }
    /* Checked before flock too, because a living holder's own flock must never fail because of us.
     */
    if (is_left_behind(fd, &holder, &facts) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        look(dir, names[PYTHON], &now) && now.st_ino == facts.st_ino &&
        is_left_behind(fd, &holder, &facts)) {
        clear_rest(dir, &holder, &facts);
        gone = unlinkat(dir->fd, names[PYTHON], 0) == 0;
    }
    (void)close(fd);
    return gone;
}

static bool break_go(const mfi_registry_dir *dir)
{
    struct stat facts;
    int fd = open_lock(dir, names[GO]);
    if (fd < 0) {
        return errno == ENOENT;
    }
    word holder = read_word(fd);
    bool stale = fstat(fd, &facts) == 0 &&
                 (is_dead(&holder, &facts) || mfi_is_far_off(&facts.st_mtim, STALE_NS));
    (void)close(fd);
    struct stat now;
    return stale && look(dir, names[GO], &now) && now.st_ino == facts.st_ino &&
           unlinkat(dir->fd, names[GO], 0) == 0;
}

static bool break_javascript(const mfi_registry_dir *dir)
{
    struct stat facts;
    if (!look(dir, names[JAVASCRIPT], &facts)) {
        return errno == ENOENT;
    }
    return S_ISDIR(facts.st_mode) && mfi_is_far_off(&facts.st_mtim, STALE_NS) &&
           unlinkat(dir->fd, names[JAVASCRIPT], AT_REMOVEDIR) == 0;
}

/* ---- What no language makes ---- */

static const char *kind_of(mode_t mode)
{
    return S_ISREG(mode)    ? "a file"
           : S_ISDIR(mode)  ? "a folder"
           : S_ISLNK(mode)  ? "a symbolic link"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

/* A lock of another kind than its language makes is nobody's, and no rule says when it is stale. */
static mf_status check_kind(const mfi_registry_dir *dir, unsigned lock, mf_error *error)
{
    struct stat facts;
    bool is_folder = lock == JAVASCRIPT;
    if (!look(dir, names[lock], &facts) ||
        (is_folder ? S_ISDIR(facts.st_mode) : S_ISREG(facts.st_mode))) {
        return MF_OK;
    }
    return mfi_fail(error, MF_ERR_IO,
                    "the lock '%s/%s' is %s, and must be %s: no process made it as a lock, remove "
                    "it",
                    dir->path, names[lock], kind_of(facts.st_mode),
                    is_folder ? "a folder" : "a file");
}

/* ---- Taking ---- */

/* Renews the time stamps of both, so that no peer thinks the lock old, and writes the word. */
static mf_status refresh(mfi_registry_lock *lock, mf_error *error)
{
    struct stat facts;
    uint64_t now = mfi_wall_ns();
    struct timespec stamp = {.tv_sec = (time_t)(now / MFI_NS_PER_S),
                             .tv_nsec = (long)(now % MFI_NS_PER_S)};
    struct timespec stamps[2] = {stamp, stamp};
    if (utimensat(lock->dir->fd, lock->folder_name, stamps, AT_SYMLINK_NOFOLLOW) != 0 ||
        !look(lock->dir, lock->folder_name, &facts)) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot touch '%s/%s'", lock->dir->path,
                              lock->folder_name);
    }
    lock->folder_inode = facts.st_ino;
    lock->folder_time = time_of(&facts);
    return write_word(lock, error);
}

static mf_status prepare(mfi_registry_lock *lock, mf_error *error)
{
    struct stat facts;
    int dir = lock->dir->fd;
    mfi_temp_name(lock->word_name);
    mfi_temp_name(lock->folder_name);
    (void)unlinkat(dir, lock->word_name, 0); /* left by an earlier process with our pid */
    (void)unlinkat(dir, lock->folder_name, AT_REMOVEDIR);
    lock->fd =
        openat(dir, lock->word_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock->fd < 0 || flock(lock->fd, LOCK_EX | LOCK_NB) != 0 || fstat(lock->fd, &facts) != 0 ||
        mkdirat(dir, lock->folder_name, 0700) != 0) {
        return mfi_fail_errno(error, MF_ERR_IO, errno, "cannot make a lock in '%s'",
                              lock->dir->path);
    }
    lock->word_inode = facts.st_ino;
    return refresh(lock, error);
}

/* Places the next lock. Returns 0 or an errno value; EEXIST if another process holds it. */
static int place(mfi_registry_lock *lock)
{
    int dir = lock->dir->fd;
    const char *name = names[lock->taken];
    if (lock->taken != JAVASCRIPT) {
        return linkat(dir, lock->word_name, dir, name, 0) == 0 ? 0 : errno;
    }
    if (renameat2(dir, lock->folder_name, dir, name, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    /* If the filesystem cannot move so, a folder is made that the word does not name. */
    struct stat facts;
    if (mkdirat(dir, name, 0700) != 0 || !look(lock->dir, name, &facts)) {
        return errno;
    }
    lock->folder_inode = facts.st_ino;
    return 0;
}

/* Releases the locks in reverse order, and only those that are still ours. */
static void give_back(mfi_registry_lock *lock)
{
    struct stat facts;
    while (lock->taken > 0) {
        lock->taken--;
        bool is_folder = lock->taken == JAVASCRIPT;
        ino_t inode = is_folder ? lock->folder_inode : lock->word_inode;
        if (look(lock->dir, names[lock->taken], &facts) && facts.st_ino == inode) {
            (void)unlinkat(lock->dir->fd, names[lock->taken], is_folder ? AT_REMOVEDIR : 0);
        }
    }
}

/* Takes all locks or none. MF_ERR_EXISTS and *ret_busy if one is taken. */
static mf_status try_all(mfi_registry_lock *lock, unsigned *ret_busy, mf_error *error)
{
    static bool (*const break_one[LOCKS])(const mfi_registry_dir *dir) = {break_python, break_go,
                                                                          break_javascript};
    mf_status status = MF_OK;
    while (status == MF_OK && lock->taken < LOCKS) {
        int result = place(lock);
        if (result == 0) {
            lock->taken++;
            status = lock->taken == PYTHON + 1 ? refresh(lock, error) : MF_OK;
        } else if (result != EEXIST) {
            status = mfi_fail_errno(error, MF_ERR_IO, result, "cannot make the lock '%s/%s'",
                                    lock->dir->path, names[lock->taken]);
        } else {
            status = check_kind(lock->dir, lock->taken, error);
            if (status == MF_OK && !break_one[lock->taken](lock->dir)) {
                *ret_busy = lock->taken;
                status = MF_ERR_EXISTS;
            }
        }
    }
    if (status != MF_OK) {
        give_back(lock);
    }
    return status;
}

/* How long the lock has been held, for a person to read. */
static void describe_age(const mfi_registry_lock *lock, unsigned busy, char *to, size_t size)
{
    struct stat facts;
    if (!look(lock->dir, names[busy], &facts)) {
        (void)mfi_str_copy(to, size, "released just now");
        return;
    }
    double age = (double)mfi_wall_ns() / 1e9 - (double)time_of(&facts) / 1e9;
    if (age < 0) {
        (void)mfi_str_format(to, size, "its time stamp is %s s in the future",
                             mfi_fixed_text(-age, 1).text);
    } else if (busy == JAVASCRIPT && mfi_is_far_off(&facts.st_mtim, STALE_NS)) {
        (void)mfi_str_format(to, size, "left behind for %s s, but not empty: remove it",
                             mfi_fixed_text(age, 1).text);
    } else {
        (void)mfi_str_format(to, size, "for %s s now", mfi_fixed_text(age, 1).text);
    }
}

static mf_status time_out(const mfi_registry_lock *lock, unsigned busy, mf_error *error)
{
    char holder[64] = "an unknown process";
    char age[64];
    int fd = busy != JAVASCRIPT ? open_lock(lock->dir, names[busy]) : -1;
    describe_age(lock, busy, age, sizeof age);
    if (fd >= 0) {
        word found = read_word(fd);
        if (found.pid != 0) {
            (void)mfi_str_format(holder, sizeof holder, "process %lld", (long long)found.pid);
        }
        (void)close(fd);
    }
    return mfi_fail(error, MF_ERR_TIMEOUT, "the lock '%s/%s' is held by %s (%s)", lock->dir->path,
                    names[busy], holder, age);
}

/* The waits grow and vary, so that waiting processes do not all try again at the same moment. */
static mf_status wait_for_all(mfi_registry_lock *lock, uint64_t deadline_ns, mf_error *error)
{
    uint64_t most_ms = WAIT_FIRST_MS;
    for (;;) {
        unsigned busy = 0;
        mf_status status = try_all(lock, &busy, error);
        if (status != MF_ERR_EXISTS) {
            return status;
        }
        int left_ms = mfi_poll_timeout_ms(deadline_ns, mfi_monotonic_ns());
        if (left_ms == 0) {
            return time_out(lock, busy, error);
        }
        int pause_ms = 1 + (int)(mfi_random_fast() % most_ms);
        (void)poll(NULL, 0, left_ms > 0 && left_ms < pause_ms ? left_ms : pause_ms);
        most_ms = most_ms < WAIT_MOST_MS / 2 ? most_ms * 2 : WAIT_MOST_MS;
    }
}

mf_status mfi_registry_lock_take(mfi_registry_lock *ret_lock, const mfi_registry_dir *dir,
                                 uint64_t deadline_ns, mf_error *error)
{
    *ret_lock = (mfi_registry_lock){.dir = dir, .fd = -1};
    mf_status status = prepare(ret_lock, error);
    if (status == MF_OK) {
        status = wait_for_all(ret_lock, deadline_ns, error);
    }
    if (status != MF_OK) {
        mfi_registry_lock_release(ret_lock);
        return status;
    }
    (void)unlinkat(dir->fd, ret_lock->word_name, 0); /* its other names remain */
    return MF_OK;
}

bool mfi_registry_lock_kept(const mfi_registry_lock *lock)
{
    struct stat facts;
    for (unsigned i = 0; i < LOCKS; i++) {
        if (!look(lock->dir, names[i], &facts) ||
            facts.st_ino != (i == JAVASCRIPT ? lock->folder_inode : lock->word_inode)) {
            return false;
        }
    }
    return true;
}

void mfi_registry_lock_release(mfi_registry_lock *lock)
{
    give_back(lock);
    (void)unlinkat(lock->dir->fd, lock->word_name, 0);
    (void)unlinkat(lock->dir->fd, lock->folder_name, AT_REMOVEDIR);
    if (lock->fd >= 0) {
        (void)flock(lock->fd, LOCK_UN); /* releases copies in a forked process too */
        (void)close(lock->fd);
    }
}
