/* Who may connect to a listening socket of this process.
 *
 * A parent admits the processes below its helper. Where a part of that tree cannot be read, the
 * parent admits its own user, root, and the users of the processes in that part. A service admits
 * its own user, root, and the users that an option names. A connection from another host, which
 * only a socket bound to another address than loopback can get, is admitted: no kernel tells of it.
 */
#ifndef MFI_PROCESS_ADMISSION_H
#define MFI_PROCESS_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <multifrost/error.h>

#define MFI_ADMISSION_USERS_MAX 32
#define MFI_ADMISSION_TEXT_MAX 96

/* Instead of the uid of a refused connection. */
#define MFI_REFUSED_GONE (-1)    /* no process holds its other end any more */
#define MFI_REFUSED_NO_ROOM (-2) /* no descriptor or memory was left to ask for its uid */

typedef struct mfi_admission {
    /* Set before the socket is bound, or while no thread accepts. */
    pid_t root; /* of the tree; 0: users decide */
    uid_t users[MFI_ADMISSION_USERS_MAX];
    size_t user_count;
    /* Written by the thread that accepts. */
    _Atomic(int64_t) refused_uid; /* of the last refused connection; or one of the next two */
    _Atomic(bool) is_blind;       /* since the last reading, a connection was admitted although the
                                     kernel did not tell which process holds it */
} mfi_admission;

/* Adds users by name or number. names: NULL-terminated, or NULL. MF_ERR_INVALID_ARGUMENT naming the
 * one that does not exist; MF_ERR_LIMIT. */
mf_status mfi_admission_allow(mfi_admission *admission, const char *const *names, mf_error *error);

/* Judges a new connection. data: a mfi_admission. Any thread, several at a time. */
bool mfi_admission_admits(void *data, int fd);

/* Names the user that was refused last, and the option that would change it. */
void mfi_admission_tell(const mfi_admission *admission, char to[MFI_ADMISSION_TEXT_MAX]);
/* Whether is_blind was set since the last call. */
bool mfi_admission_was_blind(mfi_admission *admission);

#endif
