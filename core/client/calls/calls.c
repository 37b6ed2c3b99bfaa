/* Makes and frees the parts that the calls of a parent consist of. It exists so that creation and
 * destruction of these parts stand side by side, in opposite order. */
#include "core/client/calls/calls.h"

#include "base/error.h"
#include "core/client/calls/result.h"
#include "core/runtime/runtime.h"

#define LINGER_MS 500 /* the time in which a closed transport may send the rest; a judgement */
#define IDLE_TICK_NS (20 * MFI_NS_PER_MS) /* docs/threads.md, IDLE */

mf_status mfi_calls_init(mfi_calls *calls, mfi_state *state, mf_error *error)
{
    calls->state = state;
    calls->signs.loop = state->loop;
    mfi_retry_budget_init(&calls->retry_budget);
    mfi_output_init(&calls->output, state, &calls->slots, &calls->signs);
    mfi_calls_init_io(calls);
    mfi_calls_init_endings(calls);
    mfi_calls_init_faults(calls);
    calls->spare = mfi_result_new();
    if (calls->spare == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent");
    }
    mf_status status =
        mfi_slots_init(&calls->slots, state->settings.max_in_flight + MFI_CONTROL_SLOTS, error);
    calls->slots.budget = mfi_budget_create(state->settings.max_queued_bytes);
    if (status == MF_OK && calls->slots.budget == NULL) {
        status = mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent");
    }
    if (status == MF_OK) {
        status = mfi_driver_init(&calls->driver, state->loop, &mfi_calls_driver_ops, calls,
                                 IDLE_TICK_NS, error);
    }
    return status;
}

void mfi_calls_fini(mfi_calls *calls)
{
    if (calls->driver.ops != NULL) { /* the driver is created last */
        mfi_calls_drop_queue(calls);
        mfi_driver_fini(&calls->driver);
    }
    mfi_output_fini(&calls->output);
    mfi_faults_fini(&calls->faults);
    mfi_slots_fini(&calls->slots);
    mfi_budget_unref(calls->slots.budget);
    mf_result_destroy(calls->spare);
}

mf_status mfi_calls_open_transport(mfi_calls *calls, mfi_transport_options *options,
                                   mf_error *error)
{
    mfi_messaging *messaging = calls->state->runtime->messaging;
    options->max_message_bytes = calls->state->settings.max_message_bytes;
    options->queue_messages = MFI_QUEUE_MESSAGES;
    options->linger_ms = LINGER_MS;
    options->unsent = &calls->unsent;
    options->budget = calls->slots.budget;
    return messaging->open(messaging, &calls->transport, options, error);
}

bool mfi_calls_are_settled(mfi_calls *calls)
{
    return atomic_load_explicit(&calls->async_open, memory_order_acquire) == 0 &&
           mfi_mpsc_empty(&calls->delivered) && mfi_output_is_settled(&calls->output) &&
           mfi_mpsc_empty(&calls->new_retries) && calls->retries.first == NULL;
}
