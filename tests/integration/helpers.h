/* What the tests of ended workers and of their helpers share. */
#ifndef TESTS_INTEGRATION_HELPERS_H
#define TESTS_INTEGRATION_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <multifrost/multifrost.h>

#define STOP_MS 1000

/* A worker without heartbeats, so that nothing but its end tells of its end; it stops in STOP_MS.
 * The other one is a shell. */
mf_parent_options silent_options(void);
mf_parent_options leaving_options(const char **args, const char *script);
void check_add(mf_parent *parent);
/* Stops and destroys; neither may take longer than is promised. */
void end_in_time(mf_parent *parent, bool by_stop);
/* For mf_test_until(), with a parent. */
bool has_failed(void *parent);
bool has_pid(void *parent);

void check_gone(pid_t pid);
pid_t parent_of(pid_t pid);

/* Until use_helper(NULL), starts use this one in place of multifrost-exec. */
void use_helper(const char *path);
/* A script that ends with becoming the real helper. */
void use_wrapped_helper(const char *before);
/* A helper that does nothing until something is written to the pipe of this name. `before` is a
 * line of shell that the helper runs first. */
void use_held_helper(const char *before, char *ret_fifo, size_t size);

#endif
