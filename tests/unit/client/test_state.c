/* The state of a parent as its users see it: waits for it, and the texts that say why. */
#include "core/client/state.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "mf_test.h"

static char target[] = "math";
static char worker[] = "math-2";

static void init(mfi_state *state)
{
    memset(state, 0, sizeof *state);
    state->settings.target = target;
    state->settings.worker = worker;
    mfi_state_init(state);
}

/* ---- Waits ---- */

typedef struct waiting {
    mfi_state state;
    mf_parent_state got;
} waiting;

static void *wait_for_end(void *data)
{
    waiting *at = data;
    at->got = mfi_state_wait_while(&at->state, MF_PARENT_STARTING, MF_PARENT_RESTARTING, MFI_NEVER);
    return NULL;
}

/* Neither of the two states ends the wait, also when one follows the other. */
static void test_wait(void)
{
    waiting at;
    pthread_t thread;
    init(&at.state);
    mf_check_int(mfi_state_get(&at.state), MF_PARENT_CREATED);
    mf_check_int(at.state.last_exit.code, -1);
    mfi_state_set(&at.state, MF_PARENT_STARTING);
    mf_check_int(pthread_create(&thread, NULL, wait_for_end, &at), 0);
    mfi_state_set(&at.state, MF_PARENT_RESTARTING);
    mfi_state_set(&at.state, MF_PARENT_STARTING);
    mfi_state_set(&at.state, MF_PARENT_READY);
    pthread_join(thread, NULL);
    mf_check_int(at.got, MF_PARENT_READY);
    mfi_state_fini(&at.state);
}

static void test_deadline(void)
{
    mfi_state state;
    init(&state);
    mfi_state_set(&state, MF_PARENT_STARTING);
    uint64_t deadline = mfi_monotonic_ns() + MFI_NS_PER_MS;
    mf_check_int(mfi_state_wait_while(&state, MF_PARENT_STARTING, MF_PARENT_STARTING, deadline),
                 MF_PARENT_STARTING);
    mf_check(mfi_monotonic_ns() >= deadline);
    mf_check_int(mfi_state_wait_while(&state, MF_PARENT_READY, MF_PARENT_READY, 1),
                 MF_PARENT_STARTING);
    mfi_state_fini(&state);
}

/* ---- Why not ---- */

static void check_reason(mfi_state *state, mf_parent_state value, const char *wanted)
{
    mf_error error = MF_ERROR_INIT;
    mfi_state_set(state, value);
    mf_check_int(mfi_state_not_running(state, &error), MF_ERR_NOT_RUNNING);
    mf_check_str(error.message, wanted);
}

static void test_reasons(void)
{
    mfi_state state;
    init(&state);
    check_reason(&state, MF_PARENT_CREATED, "'math' is not running: it was not started");
    check_reason(&state, MF_PARENT_STARTING, "'math' is not running: its worker is not ready");
    mfi_state_set_exit_text(&state, "exited with status 3");
    check_reason(&state, MF_PARENT_FAILED,
                 "'math' is not running: its worker exited with status 3");
    check_reason(&state, MF_PARENT_RESTARTING,
                 "'math' is restarting: its worker exited with status 3");
    check_reason(&state, MF_PARENT_STOPPING, "'math' is not running: it was stopped");
    check_reason(&state, MF_PARENT_STOPPED, "'math' is not running: it was stopped");
    mfi_state_fini(&state);
}

static void test_long_text_is_cut(void)
{
    mfi_state state;
    char text[2 * MFI_EXIT_TEXT_MAX];
    char copy[MFI_EXIT_TEXT_MAX];
    init(&state);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mfi_state_set_exit_text(&state, text);
    mfi_state_copy_exit_text(&state, copy);
    mf_check_int(strlen(copy), MFI_EXIT_TEXT_MAX - 1);
    mf_check(strncmp(copy, text, strlen(copy)) == 0);
    mfi_state_fini(&state);
}

/* ---- The end of a start ---- */

typedef struct seen {
    mfi_state *state;
    int count;
    mf_status status;
    mf_parent_state value;
    char text[64];
} seen;

static void on_started(mf_status status, const mf_error *error, void *user_data)
{
    seen *at = user_data;
    at->count++;
    at->status = status;
    at->value = mfi_state_get(at->state);
    at->text[0] = '\0';
    if (error != NULL) {
        (void)strncat(at->text, error->message, sizeof at->text - 1);
    }
}

/* The program's callback comes last, and once. */
static void test_start_ends(void)
{
    mfi_state state;
    seen at = {.state = &state};
    init(&state);
    state.start_done = on_started;
    state.start_data = &at;
    mfi_state_set_exit_text(&state, "cannot start");
    mfi_state_finish_start(&state, MF_ERR_START_FAILED, MF_PARENT_FAILED);
    mf_check_int(at.count, 1);
    mf_check_int(at.status, MF_ERR_START_FAILED);
    mf_check_int(at.value, MF_PARENT_FAILED);
    mf_check_str(at.text, "cannot start");
    mf_check_int(state.start_status, MF_ERR_START_FAILED);
    mfi_state_finish_start(&state, MF_OK, MF_PARENT_READY);
    mf_check_int(at.count, 1);
    mf_check_int(state.start_status, MF_OK);
    state.start_done = on_started;
    mfi_state_finish_start(&state, MF_OK, MF_PARENT_READY);
    mf_check_int(at.count, 2);
    mf_check_int(at.value, MF_PARENT_READY);
    mf_check_str(at.text, "");
    mfi_state_fini(&state);
}

static void test_names(void)
{
    mfi_state state;
    char service[] = "service";
    init(&state);
    mf_check(!mfi_state_connects(&state));
    state.settings.service_id = service;
    mf_check(mfi_state_connects(&state));
    mfi_state_fini(&state);
}

static const mf_test tests[] = {
    {"state__wait_ends_with_another_one", test_wait},
    {"state__deadline_ends_the_wait", test_deadline},
    {"state__reasons_why_it_is_not_running", test_reasons},
    {"state__long_text_is_cut", test_long_text_is_cut},
    {"state__callback_of_the_start_comes_last_and_once", test_start_ends},
    {"state__names", test_names},
};
MF_TEST_MAIN(tests)
