/* Counts allocations, and makes one of them fail, in programs of mf_unit_test(... ALLOC) or
 * mf_count_test(). These wrap malloc and its relatives in all that is linked statically, not in
 * other libraries. */
#ifndef MF_ALLOC_H
#define MF_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now, counted from 0, fails. */
void mf_alloc_fail_at(long n);
/* Lets allocations succeed again. Returns whether the failing one was reached. */
bool mf_alloc_stop(void);

/* The number of allocations since the start. */
long mf_alloc_count(void);

/* For cJSON_InitHooks() and the like: a malloc that can fail. */
void *mf_alloc_malloc(size_t size);

#endif
