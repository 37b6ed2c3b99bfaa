/* The search for children where the kernel gives no list of them. */
#include "core/process/descendants.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mf_test.h"

typedef struct family {
    pid_t child, session_child;
    int looks;
} family;

static pid_t start_sleeper(bool own_session)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        if (own_session) {
            (void)setsid();
        }
        for (;;) {
            (void)pause();
        }
    }
    mf_check(pid > 0);
    return pid;
}

static void take(pid_t *pid)
{
    int status = 0;
    if (*pid > 0 && waitpid(*pid, &status, WNOHANG) == *pid) {
        mf_check(WIFSIGNALED(status));
        mf_check_int(WTERMSIG(status), SIGKILL);
        *pid = 0;
    }
}

static bool any_left(void *data)
{
    family *at = data;
    at->looks++;
    take(&at->child);
    take(&at->session_child);
    return at->child != 0 || at->session_child != 0;
}

static bool none_left(void *data)
{
    return !any_left(data);
}

/* The hint is the first of two children; or behind both, so that all pids are gone through. */
static void check_found(bool good_hint)
{
    family at = {.child = start_sleeper(false), .session_child = start_sleeper(true)};
    pid_t first = good_hint ? at.child : at.session_child + 1;
    mfi_descendants_search(SIGKILL, first, mfi_descendants_now_ms() + MF_TEST_PATIENCE_MS, any_left,
                           &at);
    mf_check(mf_test_until(none_left, &at, MF_TEST_PATIENCE_MS));
}

static void test_search_finds_children(void)
{
    check_found(true);
}

static void test_search_goes_through_all_pids(void)
{
    check_found(false);
}

static void test_search_ends_with_its_time(void)
{
    family at = {.child = start_sleeper(false)};
    pid_t child = at.child;
    mfi_descendants_search(0, child, mfi_descendants_now_ms(), any_left, &at);
    mf_check_int(at.looks, 0); /* the time was over before the first look */
    mfi_descendants_search(SIGKILL, child, mfi_descendants_now_ms(), any_left, &at);
    mf_check(mf_test_until(none_left, &at, MF_TEST_PATIENCE_MS));
}

static void test_listed_children_get_the_signal(void)
{
    family at = {.child = start_sleeper(false), .session_child = start_sleeper(true)};
    mfi_descendants_signal(SIGKILL, at.child, mfi_descendants_now_ms() + MF_TEST_PATIENCE_MS,
                           any_left, &at);
    mf_check(mf_test_until(none_left, &at, MF_TEST_PATIENCE_MS));
}

static const mf_test tests[] = {
    {"search__finds_children", test_search_finds_children},
    {"search__goes_through_all_pids", test_search_goes_through_all_pids},
    {"search__ends_with_its_time", test_search_ends_with_its_time},
    {"signal__reaches_listed_children", test_listed_children_get_the_signal},
};

MF_TEST_MAIN(tests)
