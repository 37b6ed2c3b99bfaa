/* Changes the registry's file. It exists so that the rules of writing stand in one place: nothing
 * of another process is lost, whether that process takes a lock or not, and whether it replaces the
 * file or writes in place.
 *
 * A file that is cut is never written over. A blank file is, when it stays blank: no peer leaves
 * one for longer than it takes to write the text. */
#include "core/discovery/change.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/discovery/file.h"
#include "core/discovery/lock.h"
#include "core/discovery/own.h"

#define PAUSE_MS 10 /* between two looks at a file that a peer may be writing */
/* At the deadline, a file that was blank for so long counts as left blank. Chosen, not measured. */
#define LEAST_BLANK_NS (20 * MFI_NS_PER_MS)

typedef struct attempt {
    const mfi_registry_dir *dir;
    mfi_registry_change *wanted;
    uint64_t deadline_ns;
    bool raced; /* another process has changed the file meanwhile */
    bool torn;  /* a peer may be writing the file */
    /* The blank file that was seen last, and since when. */
    mfi_registry_file blank;
    uint64_t blank_since_ns; /* 0: the file was not blank */
} attempt;

/* Makes the new text: without the entries of ended processes, and with or without our entry. *text
 * stays empty if nothing changes. */
static mf_status edit(mfi_registry_file *file, const mfi_registry_change *wanted, mfi_buf *text,
                      mf_error *error)
{
    mfi_registry_entry entry;
    bool changed = wanted->port != 0;
    mfi_registry_text_begin(text);
    while (mfi_registry_file_next(file, &entry)) {
        bool is_wanted = strcmp(entry.id, wanted->id) == 0;
        bool alive = mfi_registry_entry_alive(&entry);
        bool is_dead = entry.is_service && !alive;
        if (is_wanted && wanted->port != 0 && alive) {
            return mfi_fail(error, MF_ERR_EXISTS,
                            "service '%s' is registered by process %lld on port %u already",
                            wanted->id, (long long)entry.service.pid, (unsigned)entry.service.port);
        }
        bool is_replaced = is_wanted && wanted->port != 0;
        bool is_own = is_wanted && entry.is_service && entry.service.pid == getpid();
        if (is_dead || is_replaced || is_own) {
            changed = true;
        } else {
            mfi_registry_text_keep(text, &entry);
        }
    }
    if (wanted->port != 0) {
        mfi_registry_text_add(text, wanted->id, wanted->port, getpid());
    }
    mfi_registry_text_end(text);
    if (!changed) {
        mfi_buf_clear(text);
    }
    return MF_OK;
}

/* Puts the text in place at once. If another process changed the file meanwhile, sets *ret_raced
 * instead. */
static mf_status publish(const mfi_registry_lock *lock, const mfi_registry_file *file,
                         const mfi_buf *text, bool *ret_raced, mf_error *error)
{
    char name[MFI_TEMP_NAME_MAX];
    const mfi_registry_dir *dir = lock->dir;
    mf_status status = mfi_temp_write(dir, name, text->data, text->size, error);
    if (status != MF_OK) {
        return status;
    }
    *ret_raced = !mfi_registry_file_current(file, dir) || !mfi_registry_lock_kept(lock);
    if (!*ret_raced && renameat(dir->fd, name, dir->fd, MFI_REGISTRY_FILE) == 0) {
        return MF_OK;
    }
    if (!*ret_raced) {
        status = mfi_fail_errno(error, MF_ERR_IO, errno, "cannot replace '%s/%s'", dir->path,
                                MFI_REGISTRY_FILE);
    }
    (void)unlinkat(dir->fd, name, 0);
    return status;
}

/* ---- Files that a peer may be writing ---- */

static void note_blank(attempt *at, const mfi_registry_file *file)
{
    bool is_same = at->blank_since_ns != 0 && at->blank.inode == file->inode &&
                   at->blank.device == file->device && at->blank.size == file->size &&
                   memcmp(&at->blank.changed, &file->changed, sizeof file->changed) == 0;
    if (file->shape != MFI_REGISTRY_BLANK) {
        at->blank_since_ns = 0;
    } else if (!is_same) {
        at->blank = *file;
        at->blank_since_ns = mfi_monotonic_ns();
    }
}

/* True if this reading may not be written over, and another one is needed. */
static bool must_read_again(attempt *at, const mfi_registry_file *file)
{
    uint64_t now = mfi_monotonic_ns();
    note_blank(at, file);
    if (at->blank_since_ns != 0 && now >= at->deadline_ns &&
        now - at->blank_since_ns >= LEAST_BLANK_NS) {
        return false;
    }
    return mfi_registry_file_doubt(file) != MFI_REGISTRY_SURE;
}

/* No lock is held meanwhile, because the peer that writes may wait for one. */
static void await_whole(attempt *at)
{
    mfi_registry_file file;
    bool again = true;
    while (again && mfi_monotonic_ns() < at->deadline_ns) {
        int left_ms = mfi_poll_timeout_ms(at->deadline_ns, mfi_monotonic_ns());
        (void)poll(NULL, 0, left_ms >= 0 && left_ms < PAUSE_MS ? left_ms : PAUSE_MS);
        mf_status status = mfi_registry_file_load(&file, at->dir, NULL);
        again = (status == MF_OK || status == MF_ERR_PROTOCOL) && must_read_again(at, &file);
        mfi_registry_file_unload(&file);
    }
}

/* ---- The change ---- */

static mf_status write_change(attempt *at, const mfi_registry_lock *lock, mfi_registry_file *file,
                              mf_error *error)
{
    mfi_buf text;
    const mfi_registry_change *wanted = at->wanted;
    mfi_buf_init(&text, MFI_REGISTRY_FILE_MAX);
    mf_status status = edit(file, wanted, &text, error);
    if (status == MF_OK && text.failed) {
        status = mfi_fail(error, MF_ERR_IO, "'%s/%s' would grow beyond %zu bytes, or out of memory",
                          at->dir->path, MFI_REGISTRY_FILE, MFI_REGISTRY_FILE_MAX);
    }
    /* Before other threads of this process can read the entry. */
    if (status == MF_OK && wanted->port != 0) {
        status = mfi_registry_own_add(at->dir->path, wanted->id, wanted->port, error);
    }
    if (status == MF_OK && text.size > 0) {
        status = publish(lock, file, &text, &at->raced, error);
        if (wanted->port != 0 && (status != MF_OK || at->raced)) {
            mfi_registry_own_remove(at->dir->path, wanted->id);
        }
    }
    mfi_buf_fini(&text);
    return status;
}

/* All locks are held. */
static mf_status change_locked(attempt *at, const mfi_registry_lock *lock, mf_error *error)
{
    mfi_registry_file file;
    mf_status status = mfi_registry_file_load(&file, at->dir, error);
    at->torn = (status == MF_OK || status == MF_ERR_PROTOCOL) && must_read_again(at, &file);
    if (status == MF_OK && at->torn) {
        status = mfi_registry_file_fail_blank(&file, at->dir, error);
    }
    if (status == MF_OK) {
        status = write_change(at, lock, &file, error);
    }
    mfi_registry_file_unload(&file);
    return status;
}

static mf_status change_once(attempt *at, mf_error *error)
{
    mfi_registry_lock lock;
    uint64_t start = mfi_monotonic_ns();
    at->raced = false;
    at->torn = false;
    mf_status status = mfi_registry_lock_take(&lock, at->dir, at->deadline_ns, error);
    at->wanted->lock_wait_ns += mfi_monotonic_ns() - start;
    if (status == MF_OK) {
        status = change_locked(at, &lock, error);
        mfi_registry_lock_release(&lock);
    }
    return status;
}

mf_status mfi_registry_change_file(const mfi_registry_dir *dir, mfi_registry_change *wanted,
                                   int64_t lock_timeout_ms, mf_error *error)
{
    attempt at = {.dir = dir,
                  .wanted = wanted,
                  .deadline_ns = mfi_deadline_after_ms(mfi_monotonic_ns(), lock_timeout_ms)};
    wanted->lock_wait_ns = 0;
    mf_status status = change_once(&at, error);
    while (at.torn || (status == MF_OK && at.raced)) {
        if (mfi_monotonic_ns() >= at.deadline_ns) {
            if (at.torn) {
                break; /* the error of the last reading stays */
            }
            return mfi_fail(error, MF_ERR_TIMEOUT, "'%s/%s' is changed by others all the time",
                            dir->path, MFI_REGISTRY_FILE);
        }
        if (at.torn) {
            await_whole(&at);
        }
        status = change_once(&at, error);
    }
    if (status == MF_OK) {
        mfi_error_clear(error); /* of what an earlier reading found */
    }
    mfi_temp_sweep(dir);
    return status;
}
