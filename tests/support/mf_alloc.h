/* Counting allocations, and making one fail. For programs that mf_unit_test(... ALLOC) or mf_count_test()
 * links: malloc and its relatives of all that is linked statically go through here, so not those of
 * other libraries. */
#ifndef MF_ALLOC_H
#define MF_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now, counted from 0, fails. */
void mf_alloc_fail_at(long n);
/* Back to normal. Whether the one that was to fail was reached. */
bool mf_alloc_stop(void);

/* How many there were so far. */
long mf_alloc_count(void);

/* For cJSON_InitHooks() and the like: a malloc that can fail. */
void *mf_alloc_malloc(size_t size);

#endif
