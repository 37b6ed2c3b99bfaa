/* Figures of another process of this host, from its entry in /proc: processor time, memory,
 * descriptors, threads, and how long its threads waited for a processor. */
#ifndef MFI_BASE_FIGURES_H
#define MFI_BASE_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

/* Threads of one process whose waits are read at most; of more the wait is not known. */
#define MFI_FIGURES_THREADS_MAX 256

typedef struct mfi_figures {
    int64_t parent;       /* pid of its parent */
    bool has_ended;       /* nobody has waited for it yet; memory and the like say nothing */
    uint64_t start_ticks; /* its start, in clock ticks since the boot; tells a reused pid */
    uint64_t cpu_ns;      /* of all its threads, and of the children that it has waited for */
    uint64_t resident_bytes;
    uint64_t threads;
    bool has_fds;
    uint64_t open_fds;
    bool has_wait;
    uint64_t wait_ns; /* for a processor, of the threads that it has now */
} mfi_figures;

/* Reads the text of /proc/PID/stat. False, and nothing is known, if it is not that of this pid. */
bool mfi_figures_parse(const char *text, int64_t pid, mfi_figures *ret_figures);

/* Reads /proc/PID/stat alone: no descriptors, no wait. False if the process is gone or hidden. */
bool mfi_figures_look(int64_t pid, mfi_figures *ret_figures);

/* Reads everything, each file once. False if the process is gone or hidden, has ended, or has
 * started at another moment than start_ticks. After deadline_ns (monotonic) no further descriptors
 * or threads are read: then their figures are not known. */
bool mfi_figures_read(int64_t pid, uint64_t start_ticks, uint64_t deadline_ns,
                      mfi_figures *ret_figures);
/* The same, with another folder in the place of /proc. */
bool mfi_figures_read_in(const char *proc, int64_t pid, uint64_t start_ticks, uint64_t deadline_ns,
                         mfi_figures *ret_figures);

/* The moment of a start, in seconds of Unix time; as exact as the present wall clock. */
double mfi_figures_start_seconds(uint64_t start_ticks);

#endif
