/* What the tests of parents share. */
#ifndef TESTS_INTEGRATION_PARENTS_H
#define TESTS_INTEGRATION_PARENTS_H

#include <stdbool.h>

#include <multifrost/multifrost.h>

/* Longer than any test: after such a time nothing happens within one. */
#define TOO_LONG_MS 600000
/* A worker that runs answers a heartbeat within this time, however busy the machine is. */
#define SILENT_MS 2000

/* The worker of the conformance tests, as the target "math". */
mf_parent_options worker_options(void);
/* Made and ready, or the test has failed. */
mf_parent *start(const mf_parent_options *options);
mf_parent_stats stats_of(mf_parent *parent);
/* For mf_test_until(), with a parent. */
bool is_ready(void *parent);
bool is_restarting(void *parent);
/* The worker that ended is started again when the test asks for it, and not before. */
void restart_by_hand_only(mf_parent_options *options);
/* kill(), which fails the test if this is not the pid of one process. */
void send_signal(int64_t pid, int number);
/* Kills the worker, and waits until its parent has noticed. By then another may run already. */
void kill_worker(mf_parent *parent);
/* A stopped worker takes nothing and answers nothing until it is continued. Returns when all of its
 * threads stand still. */
void stop_worker(mf_parent *parent);
void continue_worker(mf_parent *parent);

#endif
