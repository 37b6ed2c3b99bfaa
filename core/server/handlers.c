/* The threads that run handlers, if there are several. They exist so that a long handler delays
 * neither heartbeats nor other calls: the run thread drives the socket all the time and passes
 * calls to these threads. Answers are sent through the driver's queue, as all messages are. */
#include "core/server/handlers.h"

#include <stdlib.h>

#include "base/error.h"

/* ---- Life ---- */

mf_status mfi_handlers_init(mfi_handlers *handlers, uint32_t count, const mfi_serving *serving,
                            mfi_child_state *state, mf_error *error)
{
    mfi_handler_thread *threads = calloc(count, sizeof *threads);
    if (threads == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    for (uint32_t i = 0; i < count; i++) {
        mfi_handler_thread *thread = &threads[i];
        thread->serving = serving;
        thread->handlers = handlers;
        mfi_tree_init(&thread->trees.args);
        mfi_tree_init(&thread->trees.metadata);
        thread->budget = state->budget;
        thread->trees.args.admit = mfi_serve_admit;
        thread->trees.args.admit_self = thread;
        thread->trees.metadata.admit = mfi_serve_admit;
        thread->trees.metadata.admit_self = thread;
        thread->trees.args.limits = &serving->channel->limits;
        thread->trees.metadata.limits = &serving->channel->limits;
        thread->number = i;
        mfi_sampling_init(&thread->sampling, serving->handler_sampling);
        mfi_chain_push_back(&state->marks, &thread->mark.node);
    }
    handlers->serving = serving;
    handlers->state = state;
    handlers->threads = threads;
    handlers->count = count;
    mfi_mutex_init(&handlers->mutex);
    mfi_cond_init(&handlers->cond);
    return MF_OK;
}

void mfi_handlers_fini(mfi_handlers *handlers)
{
    if (handlers->threads == NULL) {
        return;
    }
    for (uint32_t i = 0; i < handlers->count; i++) {
        mfi_sampling_fini(&handlers->threads[i].sampling);
        mfi_tree_fini(&handlers->threads[i].trees.args);
        mfi_tree_fini(&handlers->threads[i].trees.metadata);
    }
    mfi_cond_fini(&handlers->cond);
    mfi_mutex_fini(&handlers->mutex);
    free(handlers->threads);
}

/* ---- Handler threads ---- */

/* Waits for a call; NULL when the thread must end. */
static mfi_incoming *next_call(mfi_handlers *handlers)
{
    mfi_mutex_lock(&handlers->mutex);
    mfi_incoming *call = NULL;
    while ((call = mfi_incoming_pop(&handlers->calls)) == NULL && !handlers->ending) {
        handlers->idle++;
        mfi_cond_wait(&handlers->cond, &handlers->mutex);
        handlers->idle--;
    }
    mfi_mutex_unlock(&handlers->mutex);
    return call;
}

static void *run(void *argument)
{
    mfi_handler_thread *thread = argument;
    mfi_handlers *handlers = thread->handlers;
    mfi_driver *driver = &handlers->serving->channel->driver;
    for (mfi_incoming *call = NULL; (call = next_call(handlers)) != NULL;) {
        mfi_child_state_unqueue(handlers->state, call->share, call->message.size);
        mfi_serve_call(thread, call);
        (void)mfi_driver_kick(driver);
    }
    (void)atomic_fetch_sub_explicit(&handlers->living, 1, memory_order_release);
    (void)mfi_driver_kick(driver);
    return NULL;
}

/* ---- The run thread ---- */

mf_status mfi_handlers_start(mfi_handlers *handlers, mf_error *error)
{
    for (uint32_t i = 0; handlers->count > 1 && i < handlers->count; i++) {
        mfi_handler_thread *thread = &handlers->threads[i];
        (void)atomic_fetch_add_explicit(&handlers->living, 1, memory_order_relaxed);
        int failed = mfi_thread_start(&thread->thread, "mf-handler", run, thread);
        if (failed != 0) {
            (void)atomic_fetch_sub_explicit(&handlers->living, 1, memory_order_relaxed);
            return mfi_fail_errno(error, MF_ERR_SYSTEM, failed, "cannot start handler thread %u",
                                  (unsigned)i);
        }
        handlers->started++;
    }
    return MF_OK;
}

void mfi_handlers_submit(mfi_handlers *handlers, mfi_chain *calls)
{
    if (calls->first == NULL) {
        return;
    }
    bool several = calls->first->next != NULL;
    mfi_mutex_lock(&handlers->mutex);
    mfi_chain_prepend(calls, &handlers->calls); /* calls that wait already stay first */
    handlers->calls = *calls;
    bool idle = handlers->idle != 0;
    mfi_mutex_unlock(&handlers->mutex);
    calls->first = NULL;
    if (idle && several) {
        mfi_cond_broadcast(&handlers->cond);
    } else if (idle) {
        mfi_cond_signal(&handlers->cond);
    }
}

void mfi_handlers_end(mfi_handlers *handlers)
{
    mfi_mutex_lock(&handlers->mutex);
    mfi_chain calls = handlers->calls;
    handlers->calls.first = NULL;
    handlers->ending = true;
    mfi_mutex_unlock(&handlers->mutex);
    mfi_cond_broadcast(&handlers->cond);
    for (mfi_incoming *call = NULL; (call = mfi_incoming_pop(&calls)) != NULL;) {
        mfi_child_state_unqueue(handlers->state, call->share, call->message.size);
        mfi_serve_cancel(handlers->serving, call);
    }
}

bool mfi_handlers_ended(const mfi_handlers *handlers)
{
    return atomic_load_explicit(&handlers->living, memory_order_acquire) == 0;
}

void mfi_handlers_join(mfi_handlers *handlers)
{
    for (uint32_t i = 0; i < handlers->started; i++) {
        (void)pthread_join(handlers->threads[i].thread, NULL);
    }
    handlers->started = 0;
}
