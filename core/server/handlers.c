/* The threads that run handlers, where there are several. The run thread drives the socket all the
 * time and hands calls over; answers come back through the driver's queue, as everybody's do. */
#include "base/error.h"
#include "core/server/child.h"

/* Waits for a call; NULL when the pool ends. */
static mfi_call_in *next_call(mf_child *child)
{
    mfi_handler_pool *pool = &child->pool;
    mfi_mutex_lock(&pool->mutex);
    mfi_call_in *call = NULL;
    while ((call = mfi_call_list_pop(&pool->calls)) == NULL && !pool->ending) {
        pool->idle++;
        mfi_cond_wait(&pool->cond, &pool->mutex);
        pool->idle--;
    }
    mfi_mutex_unlock(&pool->mutex);
    return call;
}

static void *run(void *argument)
{
    mfi_server *server = argument;
    mf_child *child = server->child;
    for (mfi_call_in *call = NULL; (call = next_call(child)) != NULL;) {
        mfi_child_unqueue(child, call);
        mfi_child_serve(server, call);
        (void)mfi_driver_kick(&child->driver);
    }
    (void)atomic_fetch_sub_explicit(&child->pool.living, 1, memory_order_release);
    (void)mfi_driver_kick(&child->driver);
    return NULL;
}

mf_status mfi_pool_start(mf_child *child, mf_error *error)
{
    mfi_handler_pool *pool = &child->pool;
    for (uint32_t i = 0; child->server_count > 1 && i < child->server_count; i++) {
        mfi_server *server = &child->servers[i];
        (void)atomic_fetch_add_explicit(&pool->living, 1, memory_order_relaxed);
        int failed = mfi_thread_start(&server->thread, "mf-handler", run, server);
        if (failed != 0) {
            (void)atomic_fetch_sub_explicit(&pool->living, 1, memory_order_relaxed);
            return mfi_fail_errno(error, MF_ERR_SYSTEM, failed, "cannot start handler thread %u",
                                  (unsigned)i);
        }
        pool->started++;
    }
    return MF_OK;
}

void mfi_pool_submit(mf_child *child)
{
    mfi_handler_pool *pool = &child->pool;
    mfi_call_list *from = &child->calls;
    if (from->first == NULL) {
        return;
    }
    bool several = from->first != from->last;
    mfi_mutex_lock(&pool->mutex);
    if (pool->calls.last != NULL) {
        pool->calls.last->next = from->first;
    } else {
        pool->calls.first = from->first;
    }
    pool->calls.last = from->last;
    bool idle = pool->idle != 0;
    mfi_mutex_unlock(&pool->mutex);
    *from = (mfi_call_list){0};
    if (idle && several) {
        mfi_cond_broadcast(&pool->cond);
    } else if (idle) {
        mfi_cond_signal(&pool->cond);
    }
}

void mfi_pool_end(mf_child *child)
{
    mfi_handler_pool *pool = &child->pool;
    mfi_mutex_lock(&pool->mutex);
    mfi_call_list calls = pool->calls;
    pool->calls = (mfi_call_list){0};
    pool->ending = true;
    mfi_mutex_unlock(&pool->mutex);
    mfi_cond_broadcast(&pool->cond);
    for (mfi_call_in *call = NULL; (call = mfi_call_list_pop(&calls)) != NULL;) {
        mfi_child_unqueue(child, call);
        mfi_child_cancel(child, call);
    }
}

bool mfi_pool_ended(const mf_child *child)
{
    return atomic_load_explicit(&child->pool.living, memory_order_acquire) == 0;
}

void mfi_pool_join(mf_child *child)
{
    for (uint32_t i = 0; i < child->pool.started; i++) {
        (void)pthread_join(child->servers[i].thread, NULL);
    }
    child->pool.started = 0;
}
