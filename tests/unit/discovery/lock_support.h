/* What the tests of locks share: the names of the lock files, and what a lock means for a
 * registration. */
#ifndef TESTS_UNIT_DISCOVERY_LOCK_SUPPORT_H
#define TESTS_UNIT_DISCOVERY_LOCK_SUPPORT_H

#include "registry_support.h"

#define PYTHON "registry.lock"
#define GO "services.lock"
#define JAVASCRIPT "services.json.lock"

static inline mf_status try_register(mf_registry *registry, mf_error *error)
{
    mf_status status = mf_registry_register(registry, "a", 1, error);
    if (status == MF_OK) {
        mf_check_int(mf_registry_unregister(registry, "a", error), MF_OK);
    }
    return status;
}

/* A lock that has to be respected: named in the error, with its holder, and still there. */
static inline void check_respected(mf_registry *registry, const char *lock, const char *holder)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(try_register(registry, &error), MF_ERR_TIMEOUT);
    mf_check_contains(error.message, path_of(lock));
    mf_check_contains(error.message, holder);
    mf_check(exists(lock));
    /* Nothing else is held while one is waited for, nor left behind. */
    mf_check_int(exists(PYTHON) + exists(GO) + exists(JAVASCRIPT), 1);
}

static inline void check_broken(mf_registry *registry)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(try_register(registry, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(!exists(PYTHON) && !exists(GO) && !exists(JAVASCRIPT));
}

#endif
