/* mf_pool: options, creation, and start and stop of all members together. It exists so that a
 * program can run several workers of one target without handling each parent. */
#include "core/pool/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/client/member.h"

mf_status mfi_pool_check(const mf_pool *pool, mf_error *error)
{
    return pool != NULL ? mfi_runtime_check(pool->runtime, error)
                        : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "pool is NULL");
}

mf_status mfi_pool_check_waiting(const mf_pool *pool, const char *what, mf_error *error)
{
    mf_status status = mfi_pool_check(pool, error);
    if (status == MF_OK && mfi_loop_on_thread(pool->runtime->loop)) {
        status = mfi_fail(error, MF_ERR_WOULD_DEADLOCK,
                          "%s of a pool from a callback would wait for itself", what);
    }
    return status;
}

uint32_t mf_pool_size(const mf_pool *pool)
{
    return pool != NULL ? pool->size : 0;
}

mf_parent *mf_pool_member(mf_pool *pool, uint32_t index)
{
    return pool != NULL && index < pool->size ? pool->members[index].parent : NULL;
}

/* ---- Creation ---- */

/* option: "service_ids" or "endpoints". */
static mf_status count_services(const char *option, const char *const *ids, int32_t *ret_count,
                                mf_error *error)
{
    int32_t count = 0;
    for (; ids[count] != NULL; count++) {
        if (count == MF_POOL_WORKERS_MAX) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s has more than %d names", option,
                            MF_POOL_WORKERS_MAX);
        }
        for (int32_t i = 0; i < count; i++) {
            if (strcmp(ids[i], ids[count]) == 0) {
                return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s has '%.80s' twice", option,
                                ids[i]);
            }
        }
    }
    *ret_count = count;
    return count > 0 ? MF_OK : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is empty", option);
}

/* Reads the number of members, and checks that the parent's options allow so many. */
static mf_status pick_size(const mf_pool_options *from, const mf_parent_options *parent,
                           int32_t *ret_size, mf_error *error)
{
    const char *option = from->service_ids != NULL ? "service_ids" : "endpoints";
    if (from->service_ids != NULL && from->endpoints != NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "service_ids and endpoints exclude each other");
    }
    if (from->service_ids != NULL || from->endpoints != NULL) {
        if (parent->program != NULL || parent->service_id != NULL || parent->endpoint != NULL ||
            from->workers != 0) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "%s excludes workers, parent->program, parent->service_id and "
                            "parent->endpoint",
                            option);
        }
        return count_services(option,
                              from->service_ids != NULL ? from->service_ids : from->endpoints,
                              ret_size, error);
    }
    if (parent->service_id != NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "a pool takes service_ids, not parent->service_id");
    }
    if (from->workers < 0 || from->workers > MF_POOL_WORKERS_MAX) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "workers must be 1 to %d, not %d",
                        MF_POOL_WORKERS_MAX, from->workers);
    }
    *ret_size = from->workers != 0 ? from->workers : 2;
    if (parent->port != 0 && *ret_size > 1) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "parent->port must be 0: %d workers cannot share port %u", *ret_size,
                        (unsigned)parent->port);
    }
    return MF_OK;
}

static mf_status read_options(const mf_pool_options *options, mf_pool_options *ret_pool,
                              mf_parent_options *ret_parent, int32_t *ret_size, mf_error *error)
{
    mf_status status = mfi_options_copy(ret_pool, sizeof *ret_pool, sizeof *ret_pool, options,
                                        "mf_pool_options", error);
    if (status != MF_OK) {
        return status;
    }
    if (ret_pool->parent == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "parent is missing in mf_pool_options");
    }
    status = mfi_options_copy(ret_parent, sizeof *ret_parent, sizeof *ret_parent, ret_pool->parent,
                              "mf_parent_options", error);
    if (status == MF_OK) {
        ret_parent->struct_size = sizeof *ret_parent;
        status = pick_size(ret_pool, ret_parent, ret_size, error);
    }
    if (status == MF_OK && (ret_pool->min_ready < 0 || ret_pool->min_ready > *ret_size)) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "min_ready must be 1 to %d, not %d",
                          *ret_size, ret_pool->min_ready);
    }
    if (status == MF_OK && ret_pool->drain_timeout_ms < 0) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "drain_timeout_ms must not be negative");
    }
    return status;
}

static mf_status make_members(mf_pool *pool, const mf_pool_options *from,
                              const mf_parent_options *parent, mf_error *error)
{
    mf_parent_options options = *parent;
    mf_status status = MF_OK;
    options.runtime = pool->runtime;
    for (uint32_t i = 0; i < pool->size && status == MF_OK; i++) {
        mfi_pool_member *member = &pool->members[i];
        member->pool = pool;
        atomic_init(&member->gate, 0);
        if (from->service_ids != NULL) {
            options.service_id = from->service_ids[i];
        }
        if (from->endpoints != NULL) {
            options.endpoint = from->endpoints[i];
        }
        status = mfi_member_create(&member->parent, &options, error);
        if (status == MF_OK) {
            /* Without a name of their own, later members use the first one's. */
            options.target = mfi_pool_name(pool);
        }
    }
    return status;
}

static void free_parts(mf_pool *pool)
{
    for (uint32_t i = 0; i < pool->size; i++) {
        mf_parent_destroy(pool->members[i].parent);
    }
    mfi_runtime_unref(pool->runtime);
    mfi_cond_fini(&pool->start_ended);
    mfi_mutex_fini(&pool->mutex);
    free(pool->members);
    free(pool);
}

mf_status mf_pool_create(mf_pool **ret_pool, const mf_pool_options *options, mf_error *error)
{
    mf_pool_options from;
    mf_parent_options parent;
    int32_t size = 0;
    if (ret_pool == NULL || options == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "ret_pool and options must not be NULL");
    }
    mf_status status = read_options(options, &from, &parent, &size, error);
    if (status != MF_OK) {
        return status;
    }
    mf_pool *pool = calloc(1, sizeof *pool);
    mfi_pool_member *members = calloc((size_t)size, sizeof *members);
    if (pool == NULL || members == NULL) {
        free(members);
        free(pool);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a pool");
    }
    pool->members = members;
    pool->size = (uint32_t)size;
    pool->min_ready = from.min_ready != 0 ? (uint32_t)from.min_ready : pool->size;
    pool->min_healthy = from.min_ready != 0 ? (uint32_t)from.min_ready : 1;
    pool->drain_timeout_ms = from.drain_timeout_ms != 0 ? from.drain_timeout_ms : 30000;
    atomic_init(&pool->started, false);
    mfi_mutex_init(&pool->mutex);
    mfi_cond_init(&pool->start_ended);
    status = mfi_runtime_use(&pool->runtime, parent.runtime, "parent", error);
    if (status == MF_OK) {
        status = make_members(pool, &from, &parent, error);
    }
    if (status != MF_OK) {
        free_parts(pool);
        return status;
    }
    mfi_pool_component_init(pool);
    mfi_runtime_add_component(pool->runtime, &pool->component);
    *ret_pool = pool;
    return MF_OK;
}

/* ---- Start ---- */

static void on_start_ended(mf_status status, const mf_error *error, void *user_data)
{
    mf_pool *pool = user_data;
    mfi_mutex_lock(&pool->mutex);
    if (status == MF_OK) {
        pool->ready++;
    } else if (pool->failed++ == 0) {
        mfi_error_copy(&pool->failure, error);
    }
    mfi_cond_signal(&pool->start_ended);
    mfi_mutex_unlock(&pool->mutex);
}

/* Waits until enough members are ready, or until too many starts have failed. */
static mf_status wait_for_start(mf_pool *pool, mf_error *error)
{
    mf_status status = MF_OK;
    mfi_mutex_lock(&pool->mutex);
    while (pool->ready < pool->min_ready && pool->failed <= pool->size - pool->min_ready) {
        mfi_cond_wait(&pool->start_ended, &pool->mutex);
    }
    if (pool->ready < pool->min_ready) {
        mfi_error_copy(error, &pool->failure);
        status = pool->failure.code;
    }
    mfi_mutex_unlock(&pool->mutex);
    return status;
}

mf_status mf_pool_start(mf_pool *pool, mf_error *error)
{
    mf_error detail;
    mfi_error_clear(&detail);
    mf_status status = mfi_pool_check_waiting(pool, "a start", error);
    if (status != MF_OK) {
        return status;
    }
    for (uint32_t i = 0; i < pool->size; i++) {
        status = mf_parent_start_async(pool->members[i].parent, on_start_ended, pool, &detail);
        if (status != MF_OK && i == 0) {
            mfi_error_copy(error, &detail);
            return status; /* most often the whole pool was already started or stopped */
        }
        if (status != MF_OK) {
            on_start_ended(status, &detail, pool);
        }
    }
    status = wait_for_start(pool, error);
    if (status == MF_OK) {
        atomic_store_explicit(&pool->started, true, memory_order_relaxed);
    } else {
        (void)mf_pool_stop(pool, NULL);
    }
    return status;
}

/* ---- End ---- */

mf_status mf_pool_stop(mf_pool *pool, mf_error *error)
{
    mf_status status = mfi_pool_check_waiting(pool, "a stop", error);
    for (uint32_t i = 0; status == MF_OK && i < pool->size; i++) {
        mfi_member_stop_begin(pool->members[i].parent);
    }
    for (uint32_t i = 0; status == MF_OK && i < pool->size; i++) {
        status = mf_parent_stop(pool->members[i].parent, error);
    }
    return status;
}

void mf_pool_destroy(mf_pool *pool)
{
    if (mfi_pool_check_waiting(pool, "a stop", NULL) != MF_OK) {
        return; /* NULL; or the threads do not exist in this process; or it would deadlock */
    }
    (void)mf_pool_stop(pool, NULL);
    mfi_runtime_remove_component(pool->runtime, &pool->component);
    free_parts(pool);
}
