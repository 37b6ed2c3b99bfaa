/* What the tests of connect mode share. */
#ifndef SERVICES_H
#define SERVICES_H

#include <stdbool.h>
#include <sys/types.h>

#include <multifrost/multifrost.h>

/* A home of its own for each test, and the registry's directory in it. */
typedef struct home {
    char path[256], registry[300], log[300];
} home;

home new_home(void);
/* A conformance_child that enters itself under this name. */
pid_t start_service(const home *at, const char *id);
/* Sends the signal and waits for the end; after SIGTERM the service exits with 0. */
void end_service(pid_t pid, int number);
/* A parent of the service "math", not started. runtime: NULL for one of its own. */
mf_parent *make_parent(const home *at, mf_runtime *runtime);
/* Lines of the file that contain the part. */
int count_in_file(const char *path, const char *part);

mf_registry *open_registry(const home *at);
/* For mf_test_until(): whether the service "math" has an entry of this process. */
typedef struct entry {
    mf_registry *registry;
    pid_t pid;
} entry;
bool is_entered(void *data);
/* Replaces the registry's file at once, or removes it (text NULL). */
void replace_registry(const home *at, const char *text);

#endif
