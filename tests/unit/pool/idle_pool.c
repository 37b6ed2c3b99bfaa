#include "idle_pool.h"

#include <stdlib.h>

#include <multifrost/metrics.h>

mf_pool *idle_pool(int32_t workers, int64_t drain_timeout_ms)
{
    mf_pool *pool = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_parent_options parent = MF_PARENT_OPTIONS_INIT;
    mf_pool_options options = MF_POOL_OPTIONS_INIT;
    parent.program = "/nowhere/worker";
    parent.target = "math";
    options.parent = &parent;
    options.workers = workers;
    options.drain_timeout_ms = drain_timeout_ms;
    mf_check_int(mf_pool_create(&pool, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    return pool;
}

void idle_pool_destroy(mf_pool *pool)
{
    for (uint32_t i = 0; i < pool->size; i++) {
        idle_set_state(pool, i, MF_PARENT_CREATED);
    }
    mf_pool_destroy(pool);
}

mf_parent *idle_member(mf_pool *pool, uint32_t index)
{
    return pool->members[index].parent;
}

void idle_set_state(mf_pool *pool, uint32_t index, mf_parent_state state)
{
    mfi_state_set(&idle_member(pool, index)->state, state);
}

void idle_check_metrics(const mf_pool *pool, const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(pool->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    mf_check_contains(text, wanted);
    free(text);
}
