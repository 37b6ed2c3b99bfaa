/* System calls that are refused, as a container's filter refuses those that it does not know. */
#ifndef MF_REFUSE_H
#define MF_REFUSE_H

#include <stdbool.h>
#include <stddef.h>

/* Runs the body in a thread in which these system calls fail with `reason`, also in all threads and
 * processes that come of it. False, and a line on stderr, if filters are not allowed here; the body
 * has not run then. */
bool mf_test_refusing(const long *calls, size_t count, int reason, void (*body)(void *data),
                      void *data);

#endif
