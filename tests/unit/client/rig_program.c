/* What a program asks of the rig's parent, without waiting: starts, calls, stops and restarts. See
 * client_rig.h. */
#include "base/str.h"
#include "client_rig.h"

static void note(rig_outcome *outcome, mf_status status, const mf_error *error)
{
    outcome->status = status;
    (void)mfi_str_copy(outcome->text, sizeof outcome->text, error != NULL ? error->message : "");
    sem_post(&outcome->ended);
}

static void started(mf_status status, const mf_error *error, void *user_data)
{
    note(user_data, status, error);
}

static void called(mf_status status, mf_result *result, const mf_error *error, void *user_data)
{
    mf_result_destroy(result);
    note(user_data, status, error);
}

void rig_start_async(client_rig *rig, rig_outcome *outcome)
{
    sem_init(&outcome->ended, 0, 0);
    mf_check_int(mf_parent_start_async(rig->parent, started, outcome, NULL), MF_OK);
}

void rig_call_with(client_rig *rig, const char *function, const mf_call_options *options,
                   rig_outcome *outcome)
{
    mf_error error = MF_ERROR_INIT;
    sem_init(&outcome->ended, 0, 0);
    mf_status status =
        mf_call_async(rig->parent, function, MF_NO_ARGS, options, called, outcome, &error);
    if (status != MF_OK) {
        note(outcome, status, &error);
    }
}

void rig_call(client_rig *rig, const char *function, rig_outcome *outcome)
{
    rig_call_with(rig, function, NULL, outcome);
}

static bool has_ended(void *data)
{
    return sem_trywait(&((rig_outcome *)data)->ended) == 0;
}

mf_status rig_await(rig_outcome *outcome)
{
    mf_check(mf_test_until(has_ended, outcome, MF_TEST_PATIENCE_MS));
    return outcome->status;
}

static void *run_stop(void *data)
{
    rig_request *request = data;
    request->status = mf_parent_stop(request->rig->parent, &request->error);
    return NULL;
}

static void *run_restart(void *data)
{
    rig_request *request = data;
    request->status = mf_parent_restart(request->rig->parent, &request->error);
    return NULL;
}

static void begin_request(client_rig *rig, rig_request *request, void *(*run)(void *data))
{
    request->rig = rig;
    request->error = (mf_error)MF_ERROR_INIT;
    mf_check_int(pthread_create(&request->thread, NULL, run, request), 0);
}

void rig_stop_begin(client_rig *rig, rig_request *request)
{
    begin_request(rig, request, run_stop);
}

void rig_restart_begin(client_rig *rig, rig_request *request)
{
    begin_request(rig, request, run_restart);
}

mf_status rig_request_end(rig_request *request)
{
    pthread_join(request->thread, NULL);
    return request->status;
}
