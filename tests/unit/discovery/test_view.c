/* Views of the registry: shared by their users, and ended by the last of them. */
#include "core/discovery/view.h"

#include <semaphore.h>

#include "core/discovery/folder.h"
#include "core/runtime/runtime.h"
#include "registry_support.h"

typedef struct watcher {
    mfi_view *view;
    mfi_view_subscriber subscriber;
    mf_runtime *runtime;
    sem_t changes;
    int told; /* read by the test after it has waited */
    bool leaves;
} watcher;

static void on_change(mfi_view_subscriber *subscriber)
{
    watcher *at = MFI_CONTAINER(subscriber, watcher, subscriber);
    at->told++;
    if (at->leaves) {
        mfi_view_leave(at->view, &at->subscriber);
    }
    (void)sem_post(&at->changes);
}

static mf_runtime *make_runtime(void)
{
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    mf_registry_destroy(open_registry(0)); /* for the folder's name */
    return runtime;
}

static void take(watcher *at, mf_runtime *runtime)
{
    mf_error error = MF_ERROR_INIT;
    *at = (watcher){.subscriber = {.changed = on_change}, .runtime = runtime};
    (void)sem_init(&at->changes, 0, 0);
    mf_check_int(mfi_view_take(&at->view, runtime, folder, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void join_on_engine(void *argument)
{
    watcher *at = argument;
    mfi_view_join(at->view, &at->subscriber);
}

static void join(watcher *at)
{
    mfi_loop_call(at->runtime->loop, join_on_engine, at);
}

static void join_to_leave_on_engine(void *argument)
{
    watcher *at = argument;
    at->leaves = true;
    mfi_view_join(at->view, &at->subscriber);
}

/* From the next change on it leaves when it is told. */
static void join_to_leave(watcher *at)
{
    mfi_loop_call(at->runtime->loop, join_to_leave_on_engine, at);
}

static void leave_on_engine(void *argument)
{
    watcher *at = argument;
    mfi_view_leave(at->view, &at->subscriber);
}

static void leave(watcher *at)
{
    mfi_loop_call(at->runtime->loop, leave_on_engine, at);
}

/* Waits until it was told once more. */
static void wait_for_change(watcher *at)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += MF_TEST_PATIENCE_MS / 1000;
    mf_check_int(sem_timedwait(&at->changes, &until), 0);
}

/* Moves a new file to its name, which is one event however busy the machine is. */
static void change_registry(void)
{
    write_text("new", "{}");
    mf_check_int(rename(path_of("new"), path_of(MFI_REGISTRY_FILE)), 0);
}

static void check_alone_on_engine(void *argument)
{
    const watcher *at = argument;
    mf_check_int(at->view->users, 1);
    mf_check(at->view->subscribers.first == &at->subscriber.node);
    mf_check(at->view->subscribers.last == &at->subscriber.node);
}

static void check_alone(watcher *at)
{
    mfi_loop_call(at->runtime->loop, check_alone_on_engine, at);
}

static void nothing(void *argument)
{
    (void)argument;
}

/* ---- Sharing ---- */

static void test_users_of_one_folder_share_a_view(void)
{
    watcher first;
    watcher second;
    watcher other;
    mf_runtime *runtime = make_runtime();
    take(&first, runtime);
    take(&second, runtime);
    mf_check(first.view == second.view);
    mf_check_int(first.view->users, 2);
    mf_registry_destroy(open_registry(0)); /* another folder's name */
    take(&other, runtime);
    mf_check(other.view != first.view);
    mf_check_int(other.view->users, 1);
    leave(&first);
    mf_check_int(second.view->users, 1);
    mf_check(runtime->views.first == &second.view->node);
    leave(&second);
    mf_check(runtime->views.first == &other.view->node);
    leave(&other);
    mf_check(runtime->views.first == NULL);
    mf_runtime_destroy(runtime);
}

static void test_runtimes_share_nothing(void)
{
    watcher first;
    watcher second;
    mf_runtime *runtime = make_runtime();
    mf_runtime *other = NULL;
    mf_check_int(mf_runtime_create(&other, NULL, NULL), MF_OK);
    take(&first, runtime);
    take(&second, other);
    mf_check(first.view != second.view);
    leave(&first);
    leave(&second);
    mf_runtime_destroy(other);
    mf_runtime_destroy(runtime);
}

static void test_errors_of_the_registry_are_passed_on(void)
{
    mfi_view *view = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = make_runtime();
    mf_check_int(mfi_view_take(&view, runtime, "", &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "directory is empty");
    mf_check(view == NULL && runtime->views.first == NULL);
    mf_runtime_destroy(runtime);
}

/* ---- Telling ---- */

static void test_a_folder_that_comes_later_is_watched_from_the_next_join_on(void)
{
    watcher at;
    mf_runtime *runtime = make_runtime();
    take(&at, runtime);
    join(&at);
    mf_check(!mfi_view_is_watched(at.view));
    change_registry(); /* makes the folder */
    join(&at);
    mf_check(mfi_view_is_watched(at.view));
    change_registry();
    wait_for_change(&at);
    leave(&at);
    mf_check_int(at.told, 1); /* joined twice, told once */
    mf_runtime_destroy(runtime);
}

static void test_other_files_are_no_news(void)
{
    watcher at;
    mf_runtime *runtime = make_runtime();
    write_text(MFI_REGISTRY_FILE, "{}");
    take(&at, runtime);
    join(&at);
    write_text("registry.lock", "1");
    mfi_loop_call(runtime->loop, nothing, NULL);
    change_registry();
    wait_for_change(&at);
    leave(&at);
    mf_check_int(at.told, 1);
    mf_runtime_destroy(runtime);
}

static void test_each_subscriber_is_told(void)
{
    watcher first;
    watcher second;
    watcher silent;
    mf_runtime *runtime = make_runtime();
    write_text(MFI_REGISTRY_FILE, "{}");
    take(&first, runtime);
    take(&second, runtime);
    take(&silent, runtime); /* a user that never joins */
    join(&first);
    join(&second);
    change_registry();
    wait_for_change(&first);
    wait_for_change(&second);
    leave(&first);
    change_registry();
    wait_for_change(&second);
    leave(&second);
    leave(&silent);
    mf_check_int(first.told, 1);
    mf_check_int(second.told, 2);
    mf_check_int(silent.told, 0);
    mf_check(runtime->views.first == NULL);
    mf_runtime_destroy(runtime);
}

/* The other one is told of the same change, and of the next one alone. It then leaves as the last
 * user, while it is told: the view ends below the function that tells. */
static void test_a_subscriber_may_leave_while_it_is_told(void)
{
    watcher first;
    watcher second;
    mf_runtime *runtime = make_runtime();
    write_text(MFI_REGISTRY_FILE, "{}");
    take(&first, runtime);
    take(&second, runtime);
    join_to_leave(&first);
    join(&second);
    change_registry();
    wait_for_change(&first);
    wait_for_change(&second);
    check_alone(&second);
    join_to_leave(&second);
    change_registry();
    wait_for_change(&second);
    mfi_loop_call(runtime->loop, nothing, NULL); /* the telling has ended */
    mf_check(runtime->views.first == NULL);
    mf_check_int(first.told, 1);
    mf_check_int(second.told, 2);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"view__users_of_one_folder_share_one", test_users_of_one_folder_share_a_view},
    {"view__runtimes_share_nothing", test_runtimes_share_nothing},
    {"view__errors_of_the_registry_are_passed_on", test_errors_of_the_registry_are_passed_on},
    {"view__a_folder_that_comes_later_is_watched_from_the_next_join_on",
     test_a_folder_that_comes_later_is_watched_from_the_next_join_on},
    {"view__other_files_are_no_news", test_other_files_are_no_news},
    {"view__each_subscriber_is_told", test_each_subscriber_is_told},
    {"view__a_subscriber_may_leave_while_it_is_told", test_a_subscriber_may_leave_while_it_is_told},
};

MF_TEST_MAIN(tests)
