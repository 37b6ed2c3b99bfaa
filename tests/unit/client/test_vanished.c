/* A lost service becomes a crash when its process is seen to have ended, and never while the
 * process goes on. */
#include "core/client/link/vanished.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "core/observe/observe.h"
#include "mf_test.h"

typedef struct fixture {
    mfi_observer *observer;
    mfi_target *target;
    mfi_state *state;
    mfi_vanished vanished;
    mfi_claimed claimed;
    int rows;
    uint64_t calls;
    char text[64];
} fixture;

static void setup(fixture *at)
{
    mfi_client_options options = {.target = "math", .worker = "math-0"};
    *at = (fixture){.claimed = {.calls = 3}};
    at->state = calloc(1, sizeof *at->state);
    mf_check_int(mfi_observer_create(&at->observer, NULL, NULL, 64, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&at->target, at->observer, &options, NULL), MF_OK);
    at->state->observed = at->target;
}

static void teardown(fixture *at)
{
    mfi_target_hide(at->target);
    mfi_target_destroy(at->target);
    mfi_observer_destroy(at->observer);
    free(at->state);
}

static void see(const mf_crash_row *row, void *user_data)
{
    fixture *at = user_data;
    at->rows++;
    at->calls = row->open_calls;
    (void)mfi_str_copy(at->text, sizeof at->text, row->text);
}

static int rows(fixture *at)
{
    at->rows = 0;
    (void)mfi_observer_visit_crashes(at->observer, see, at);
    return at->rows;
}

/* A process that runs until it is killed. */
static pid_t a_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    return pid;
}

/* From here on the process is a zombie, until it is waited for. */
static void kill_process(pid_t pid)
{
    siginfo_t info;
    mf_check_int(kill(pid, SIGKILL), 0);
    mf_check_int(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void test_a_loss_is_told_when_the_process_has_ended(void)
{
    fixture at;
    setup(&at);
    pid_t pid = a_process();
    mfi_vanished_note(&at.vanished, at.state, pid, "closed", &at.claimed);
    mfi_vanished_look(&at.vanished, at.state);
    mf_check_int(rows(&at), 0); /* it may have lost its connection alone */
    at.claimed.calls = 0;       /* a further look at it, which ends no call */
    mfi_vanished_note(&at.vanished, at.state, pid, "closed again", &at.claimed);
    kill_process(pid);
    mfi_vanished_look(&at.vanished, at.state);
    mfi_vanished_look(&at.vanished, at.state); /* once */
    mf_check_int(rows(&at), 1);
    mf_check_int(at.calls, 3);
    mf_check_str(at.text, "closed");
    mf_check_int(waitpid(pid, NULL, 0), pid);
    teardown(&at);
}

static void test_a_service_that_answers_again_has_not_vanished(void)
{
    fixture at;
    setup(&at);
    pid_t pid = a_process();
    mfi_vanished_note(&at.vanished, at.state, pid, "closed", &at.claimed);
    mfi_vanished_answered(&at.vanished, at.state);
    kill_process(pid);
    mfi_vanished_look(&at.vanished, at.state);
    mf_check_int(rows(&at), 0);
    mfi_vanished_note(&at.vanished, at.state, pid, "closed", NULL); /* told at once */
    mf_check_int(rows(&at), 1);
    mf_check_int(at.calls, 0);
    mf_check_int(waitpid(pid, NULL, 0), pid);
    teardown(&at);
}

static void test_without_a_pid_a_loss_is_told_at_once(void)
{
    fixture at;
    setup(&at);
    mfi_vanished_note(&at.vanished, at.state, 0, "closed", &at.claimed);
    mf_check_int(rows(&at), 1);
    teardown(&at);
}

static const mf_test tests[] = {
    {"vanished__told_when_the_process_has_ended", test_a_loss_is_told_when_the_process_has_ended},
    {"vanished__not_if_it_answers_again", test_a_service_that_answers_again_has_not_vanished},
    {"vanished__without_a_pid_told_at_once", test_without_a_pid_a_loss_is_told_at_once},
};
MF_TEST_MAIN(tests)
