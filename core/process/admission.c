/* Admits or refuses connections by the word of the kernel. It exists so that parent and service
 * judge alike, over both transports. */
#include "core/process/admission.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/process/holder.h"

#define USER_BYTES_MOST ((size_t)1024 * 1024) /* of one entry of the user database */

static bool is_allowed(const mfi_admission *admission, uid_t uid)
{
    if (uid == 0 || uid == geteuid()) {
        return true;
    }
    for (size_t i = 0; i < admission->user_count; i++) {
        if (admission->users[i] == uid) {
            return true;
        }
    }
    return false;
}

static void set_blind(mfi_admission *admission)
{
    atomic_store_explicit(&admission->is_blind, true, memory_order_relaxed);
}

static void note_refused(mfi_admission *admission, int64_t uid)
{
    atomic_store_explicit(&admission->refused_uid, uid, memory_order_relaxed);
}

/* Where the tree cannot be read, a worker may run as root, as this user, or as a user of the part
 * that is hidden. */
static bool is_in_tree(mfi_admission *admission, const mfi_holder *holder)
{
    switch (mfi_holder_in_tree(holder, admission->root, NULL)) {
    case MFI_HOLDING_YES:
        return true;
    case MFI_HOLDING_NO:
        return false;
    case MFI_HOLDING_USER:
        set_blind(admission);
        return true;
    case MFI_HOLDING_UNKNOWN:
        break;
    }
    set_blind(admission);
    return is_allowed(admission, holder->uid);
}

static bool admit_known(mfi_admission *admission, const mfi_holder *holder)
{
    bool admits =
        admission->root != 0 ? is_in_tree(admission, holder) : is_allowed(admission, holder->uid);
    if (!admits) {
        note_refused(admission, (int64_t)holder->uid);
    }
    return admits;
}

bool mfi_admission_admits(void *data, int fd)
{
    mfi_admission *admission = data;
    mfi_holder holder;
    switch (mfi_holder_find(fd, &holder)) {
    case MFI_HOLDER_KNOWN:
        return admit_known(admission, &holder);
    case MFI_HOLDER_GONE:
        note_refused(admission, MFI_REFUSED_GONE);
        return false;
    case MFI_HOLDER_NO_ROOM:
        note_refused(admission, MFI_REFUSED_NO_ROOM);
        return false;
    case MFI_HOLDER_UNKNOWN:
        set_blind(admission);
        return true;
    case MFI_HOLDER_REMOTE:
        break;
    }
    return true;
}

void mfi_admission_tell(const mfi_admission *admission, char to[MFI_ADMISSION_TEXT_MAX])
{
    long long uid = atomic_load_explicit(&admission->refused_uid, memory_order_relaxed);
    if (uid == MFI_REFUSED_GONE) {
        (void)mfi_str_copy(to, MFI_ADMISSION_TEXT_MAX, "its process has closed it already");
    } else if (uid == MFI_REFUSED_NO_ROOM) {
        (void)mfi_str_copy(to, MFI_ADMISSION_TEXT_MAX,
                           "no descriptor or memory is left to ask the kernel whose it is");
    } else if (admission->root != 0) {
        (void)mfi_str_format(to, MFI_ADMISSION_TEXT_MAX,
                             "a process of uid %lld holds it that is not below the worker's helper",
                             uid);
    } else {
        (void)mfi_str_format(to, MFI_ADMISSION_TEXT_MAX, "uid %lld is not in allow_users", uid);
    }
}

bool mfi_admission_was_blind(mfi_admission *admission)
{
    return atomic_load_explicit(&admission->is_blind, memory_order_relaxed) &&
           atomic_exchange_explicit(&admission->is_blind, false, memory_order_relaxed);
}

/* Looks a name up in the user database. The size that an entry needs is found by trying. */
static mf_status find_user(const char *name, uid_t *ret_uid, mf_error *error)
{
    for (size_t size = 1024; size <= USER_BYTES_MOST; size *= 4) {
        struct passwd entry;
        struct passwd *found = NULL;
        char *texts = malloc(size);
        int reason = texts != NULL ? getpwnam_r(name, &entry, texts, size, &found) : ENOMEM;
        free(texts);
        if (found != NULL) {
            *ret_uid = entry.pw_uid;
            return MF_OK;
        }
        if (texts == NULL) {
            return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory to look up a user");
        }
        if (reason != ERANGE) {
            break;
        }
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "allow_users: there is no user '%.64s'", name);
}

mf_status mfi_admission_allow(mfi_admission *admission, const char *const *names, mf_error *error)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        int64_t number = 0;
        uid_t uid = 0;
        mf_status status = MF_OK;
        if (admission->user_count == MFI_ADMISSION_USERS_MAX) {
            return mfi_fail(error, MF_ERR_LIMIT, "allow_users has more than %d users",
                            MFI_ADMISSION_USERS_MAX);
        }
        if (mfi_parse_int(names[i], 0, (int64_t)UINT32_MAX - 1, &number)) {
            uid = (uid_t)number;
        } else {
            status = find_user(names[i], &uid, error);
        }
        if (status != MF_OK) {
            return status;
        }
        admission->users[admission->user_count++] = uid;
    }
    return MF_OK;
}
