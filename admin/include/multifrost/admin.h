/**
 * @file admin.h
 * Live settings: a local socket through which an operator changes a running program.
 */
#ifndef MULTIFROST_ADMIN_H
#define MULTIFROST_ADMIN_H

#include <stddef.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/runtime.h>

MF_EXTERN_C_BEGIN

typedef struct mf_admin mf_admin; /**< An open admin socket. Thread-safe. */

/** Options of an admin socket. Set by MF_ADMIN_OPTIONS_INIT; zero means the default. */
typedef struct mf_admin_options {
    size_t struct_size;
    /** Of the socket; at most 107 bytes. Its folder exists, belongs to this user or to root, and no
     *  other may write to it, unless it is sticky. Default:
     *  `$XDG_RUNTIME_DIR/multifrost/<service>.<pid>.sock`; a further socket of the process has
     *  `.2` before `.sock`, and so on to 16. Copied. */
    const char *path;
} mf_admin_options;
#define MF_ADMIN_OPTIONS_INIT MF_DETAIL_INIT(mf_admin_options)

/**
 * Opens a socket that takes commands, and starts its thread (`mf-admin`). docs/admin.md lists the
 * commands: one JSON object in each line, answered by one JSON object in a line.
 *
 * Only processes of this user and of root are served, as the kernel tells them. The socket has mode
 * 0600. A socket that a dead process left at the path is replaced; anything else that is there
 * stays, and is an error. Symbolic links are not followed.
 *
 * @param ret_admin Not NULL. On MF_OK a socket for mf_admin_destroy(); untouched on failure.
 * @param runtime   Not NULL. Kept alive by the socket.
 * @param options   NULL for defaults. Copied.
 * @param error     NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (also for a path that is too long, and for no path without
 *         XDG_RUNTIME_DIR); MF_ERR_ADDRESS_IN_USE (a process listens there); MF_ERR_EXISTS (what is
 *         there is no socket of this user); MF_ERR_IO naming the path; MF_ERR_FORKED;
 *         MF_ERR_NO_MEMORY; MF_ERR_SYSTEM.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_admin_create(mf_admin **ret_admin, mf_runtime *runtime,
                                              const mf_admin_options *options, mf_error *error);
/**
 * Ends the connections and the thread, and removes the socket's file. Not in a callback.
 *
 * @param admin NULL is a no-op, and so is a socket that another process made before a fork.
 * @par Threads  Thread-safe.
 * @par Blocking Until the commands of this turn have ended, one of each connection at most; none
 *               waits for a worker.
 */
MF_API void mf_admin_destroy(mf_admin *admin);
/** Gives the path. @param admin Borrowed; NULL gives NULL. @return Borrowed as long as the socket.
 *  @par Threads Thread-safe. */
MF_API const char *mf_admin_path(const mf_admin *admin);

MF_EXTERN_C_END

#endif
