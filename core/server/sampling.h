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
    uint32_t one_in;   /* calls for each sampled one, in the mean; 0: none is sampled */
    uint32_t left;     /* calls until the next one that may be sampled; 0: never */
    uint32_t drawn;    /* what `left` was when it was drawn */
    uint32_t passed;   /* calls since the last sampled one, without those of `left` */
    uint64_t pause_ns; /* the least time between two sampled handlers */
    uint64_t last_ns;  /* when the last sampled handler returned; 0: none did */
    int delay_fd;      /* of the thread's run delay; -1: not open yet; -2: it cannot be read */
    mfi_thread_clocks began;
} mfi_sampling;

void mfi_sampling_init(mfi_sampling *sampling, uint32_t one_in);
/* Also for a zeroed one. */
void mfi_sampling_fini(mfi_sampling *sampling);

/* For mfi_sampling_begins(). */
bool mfi_sampling_begin(mfi_sampling *sampling);
/* A handler is about to run on this thread. True if its call is sampled: then _end follows, when
 * the handler has returned. */
static inline bool mfi_sampling_begins(mfi_sampling *sampling)
{
    return sampling->left != 0 && --sampling->left == 0 && mfi_sampling_begin(sampling);
}
/* The times, and how many calls this one stands for. */
void mfi_sampling_end(mfi_sampling *sampling, mfi_handler_times *ret_times);

/* The run delay in a text of schedstat: its second number; 0 without one. */
uint64_t mfi_sampling_parse_delay(const char *text);
/* Divides the time between two readings: the sum of the states is that time, whatever the clocks
 * showed. */
void mfi_sampling_divide(const mfi_thread_clocks *began, const mfi_thread_clocks *ended,
                         mfi_handler_times *ret_times);

#endif
