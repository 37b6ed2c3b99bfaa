/* What the tests of parents have in common. */
#ifndef TESTS_INTEGRATION_PARENTS_H
#define TESTS_INTEGRATION_PARENTS_H

#include <stdbool.h>

#include <multifrost/multifrost.h>

/* The worker of the conformance tests, as the target "math". */
mf_parent_options worker_options(void);
/* Made and ready, or the test has failed. */
mf_parent *start(const mf_parent_options *options);
mf_parent_stats stats_of(mf_parent *parent);
/* For mf_test_until(), with a parent. */
bool is_ready(void *parent);
bool is_restarting(void *parent);

#endif
