/* The holder of the other end of a TCP connection on this host, by the word of the kernel.
 *
 * On loopback the kernel knows both ends of a connection. It tells the user of the other socket and
 * its inode (sock_diag(7), or /proc/net/tcp where netlink is filtered), and /proc/<pid>/fd tells
 * which processes have that inode open. No message of the peer is needed or believed. */
#ifndef MFI_PROCESS_HOLDER_H
#define MFI_PROCESS_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum mfi_holder_source {
    MFI_HOLDER_KNOWN,   /* uid and inode are set */
    MFI_HOLDER_REMOTE,  /* the connection comes from another host */
    MFI_HOLDER_GONE,    /* the other end is closed, or its process has ended */
    MFI_HOLDER_UNKNOWN, /* neither netlink nor /proc tells (seccomp, no /proc) */
    MFI_HOLDER_NO_ROOM, /* no descriptor or memory is left to ask with; asking again may help */
} mfi_holder_source;

typedef struct mfi_holder {
    uid_t uid;      /* of the process that made the socket, as this user namespace sees it */
    uint64_t inode; /* of the socket */
} mfi_holder;

/* Asks about the other end of a connected TCP socket. Costs some system calls and no memory. */
mfi_holder_source mfi_holder_find(int fd, mfi_holder *ret_holder);

typedef enum mfi_holding {
    MFI_HOLDING_YES,
    MFI_HOLDING_NO,   /* the whole tree was read, several times */
    MFI_HOLDING_USER, /* a part of the tree could not be read (setuid, other users), and a process
                         of that part runs as the user of the socket */
    MFI_HOLDING_UNKNOWN, /* as before, but no process is known to run as that user (hidepid,
                            namespaces, no /proc) */
} mfi_holding;

/* Whether `root` or one of its descendants has the socket open. The caller is in the same pid
 * namespace. ret_pid (may be NULL) receives the process on MFI_HOLDING_YES. */
mfi_holding mfi_holder_in_tree(const mfi_holder *holder, pid_t root, pid_t *ret_pid);

#endif
