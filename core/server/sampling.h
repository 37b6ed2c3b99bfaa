/* Where the time of a handler went, for one call in N. */
#ifndef MFI_SERVER_SAMPLING_H
#define MFI_SERVER_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/observe/span.h"

/* What the clocks of a thread showed at one time, in nanoseconds. */
typedef struct mfi_thread_clocks {
    uint64_t wall, cpu, delay;
} mfi_thread_clocks;

/* Of one handler thread, which alone uses it. */
typedef struct mfi_sampling {
    uint32_t one_in; /* calls for each sampled one, in the mean; 0: none is sampled */
    uint32_t left;   /* calls until the next sampled one; 0: never */
    int delay_fd;    /* of the thread's run delay; -1: not open yet; -2: it cannot be read */
    mfi_thread_clocks began;
} mfi_sampling;

void mfi_sampling_init(mfi_sampling *sampling, uint32_t one_in);
/* Also for a zeroed one. */
void mfi_sampling_fini(mfi_sampling *sampling);

/* For mfi_sampling_begins(). */
void mfi_sampling_begin(mfi_sampling *sampling);
/* A handler is about to run on this thread. True if its call is sampled: then _end follows, when
 * the handler has returned. */
static inline bool mfi_sampling_begins(mfi_sampling *sampling)
{
    if (sampling->left == 0 || --sampling->left != 0) {
        return false;
    }
    mfi_sampling_begin(sampling);
    return true;
}
void mfi_sampling_end(mfi_sampling *sampling, mfi_handler_times *ret_times);

/* The run delay in a text of schedstat: its second number; 0 without one. */
uint64_t mfi_sampling_parse_delay(const char *text);
/* Divides the time between two readings: the sum of the states is that time, whatever the clocks
 * showed. */
void mfi_sampling_divide(const mfi_thread_clocks *began, const mfi_thread_clocks *ended,
                         mfi_handler_times *ret_times);

#endif
