/* What parents and children of one process share: how it is made, kept, refused after a fork, and
 * ended. That its threads have ended is what the runner looks at after each test. */
#include "core/runtime/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/transport/transport.h"
#include "mf_alloc.h"
#include "mf_test.h"

static mf_runtime *make(void)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    mf_check_str(error.message, "");
    return runtime;
}

/* ---- References ---- */

static int destroyed; /* of messagings */

static void count_destroyed(mfi_messaging *messaging)
{
    (void)messaging;
    destroyed++;
}

static void set_true(void *data)
{
    *(bool *)data = true;
}

static void test_last_reference_ends_it(void)
{
    static mfi_messaging watched = {.destroy = count_destroyed};
    mf_runtime *runtime = make();
    mf_runtime *used = NULL;
    bool ran = false;
    destroyed = 0;
    runtime->messaging->destroy(runtime->messaging);
    runtime->messaging = &watched;
    mf_check_int(mfi_runtime_use(&used, runtime, "parent", NULL), MF_OK);
    mf_check(used == runtime);
    mf_runtime_destroy(runtime);
    mf_check_int(destroyed, 0);
    mfi_loop_call(used->loop, set_true, &ran); /* its engine still goes round */
    mf_check(ran);
    mfi_runtime_unref(used);
    mf_check_int(destroyed, 1);
}

static void test_private_one(void)
{
    mf_runtime *runtime = NULL;
    mf_runtime *second = NULL;
    mf_check_int(mfi_runtime_use(&runtime, NULL, "parent", NULL), MF_OK);
    mf_check_int(mfi_runtime_use(&second, NULL, "child", NULL), MF_OK);
    mf_check(runtime != second);
    mf_check(runtime->loop != second->loop);
    mfi_runtime_unref(runtime);
    mfi_runtime_unref(second);
    mfi_runtime_unref(NULL);
}

/* ---- Forks ---- */

/* In the process that was forked: what is wrong, as bits. */
static int use_after_fork(mf_runtime *runtime)
{
    mf_runtime *used = NULL;
    mf_error error = MF_ERROR_INIT;
    int wrong = 0;
    wrong |= mfi_runtime_check(runtime, &error) != MF_ERR_FORKED ? 1 : 0;
    wrong |= strstr(error.message, "make a new one") == NULL ? 2 : 0;
    wrong |= mfi_runtime_use(&used, runtime, "parent", NULL) != MF_ERR_FORKED ? 4 : 0;
    wrong |= used != NULL ? 8 : 0;
    mf_runtime_destroy(runtime); /* does nothing: no thread is there to be joined */
    wrong |= runtime->references != 1 ? 16 : 0;
    mf_runtime_begin_drain(runtime); /* a thread that is not here may hold its locks */
    wrong |= atomic_load(&runtime->draining) ? 32 : 0;
    return wrong;
}

static void test_fork(void)
{
    int status = 0;
    mf_runtime *runtime = make();
    pid_t pid = fork();
    if (pid == 0) {
        _exit(use_after_fork(runtime));
    }
    mf_check_int(waitpid(pid, &status, 0), pid);
    mf_check_int(status, 0);
    mf_check_int(mfi_runtime_check(runtime, NULL), MF_OK);
    mf_runtime_destroy(runtime);
}

/* ---- Options ---- */

static void test_names(void)
{
    char instance[64];
    mf_runtime *runtime = NULL;
    char service[] = "shop";
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.service = service;
    options.service_version = "1.2";
    options.instance = "shop-7";
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    service[0] = 'c'; /* it was copied */
    const mf_probe *probe = mf_runtime_probe(runtime);
    mf_check_str(probe->info.service, "shop");
    mf_check_str(probe->info.version, "1.2");
    mf_check_str(probe->info.instance, "shop-7");
    mf_runtime_destroy(runtime);
    runtime = make();
    probe = mf_runtime_probe(runtime);
    mf_check_contains(probe->info.service, "test_runtime_runtime");
    mf_check_str(probe->info.version, "");
    (void)snprintf(instance, sizeof instance, "%d", (int)getpid());
    mf_check_contains(probe->info.instance, instance);
    mf_runtime_destroy(runtime);
}

static void check_refused(const mf_runtime_options *options, mf_status wanted, const char *text)
{
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_runtime_create(&runtime, options, &error), wanted);
    mf_check(runtime == NULL);
    mf_check_contains(error.message, text);
}

static void test_baggage_keys(void)
{
    char longest[130];
    char key[] = "user";
    const char *list[66];
    const char *const copied[] = {key, "shop", NULL};
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    memset(longest, 'k', sizeof longest);
    longest[129] = '\0';
    const char *const bad[] = {"", "two words", "a,b", "a=b", "\xc3\xa4", longest};
    options.baggage_keys = list;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        list[0] = bad[i];
        list[1] = NULL;
        check_refused(&options, MF_ERR_INVALID_ARGUMENT, "baggage_keys: '");
    }
    for (size_t i = 0; i < 65; i++) {
        list[i] = longest + 1; /* 128 bytes */
    }
    list[65] = NULL;
    check_refused(&options, MF_ERR_INVALID_ARGUMENT, "baggage_keys has more than 64 keys");
    list[64] = NULL;
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    mf_check_str(runtime->baggage_keys[63], longest + 1);
    mf_check(runtime->baggage_keys[64] == NULL);
    mf_runtime_destroy(runtime);
    options.baggage_keys = copied;
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    key[0] = 'x';
    mf_check_str(runtime->baggage_keys[0], "user");
    mf_check_str(runtime->baggage_keys[1], "shop");
    mf_check(runtime->baggage_keys[2] == NULL);
    mf_runtime_destroy(runtime);
    list[0] = NULL;
    options.baggage_keys = list;
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    mf_check(runtime->baggage_keys == NULL);
    mf_runtime_destroy(runtime);
}

static void test_what_is_refused(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    mf_check_int(mf_runtime_create(NULL, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "ret_runtime");
    options.struct_size = 3;
    check_refused(&options, MF_ERR_INVALID_ARGUMENT, "mf_runtime_options");
    options = (mf_runtime_options)MF_RUNTIME_OPTIONS_INIT;
    options.log_file = "/nonexistent/log.json";
    check_refused(&options, MF_ERR_IO, "/nonexistent/log.json");
    options = (mf_runtime_options)MF_RUNTIME_OPTIONS_INIT;
    options.transport = (mf_transport)17;
    check_refused(&options, MF_ERR_INVALID_ARGUMENT, "transport");
}

static void test_parts(void)
{
    mf_runtime *runtime = make();
    mf_check(mf_runtime_logger(runtime) == runtime->logger && runtime->logger != NULL);
    mf_check(mf_runtime_metrics(runtime) == runtime->metrics && runtime->metrics != NULL);
    mf_check(mf_runtime_probe(runtime)->metrics == runtime->metrics);
    mf_check(mf_runtime_logger(NULL) == NULL);
    mf_check(mf_runtime_metrics(NULL) == NULL);
    mf_check(mf_runtime_probe(NULL) == NULL);
    mf_runtime_destroy(runtime);
}

/* ---- Components ---- */

static void check_order(mf_runtime *runtime, const char *wanted)
{
    char order[64] = "";
    for (mfi_list_node *at = runtime->components.first; at != NULL; at = at->next) {
        const mfi_component *component = MFI_CONTAINER(at, mfi_component, node);
        size_t length = strlen(order);
        (void)snprintf(order + length, sizeof order - length, "%s%d ", component->target,
                       (int)component->is_child);
    }
    mf_check_str(order, wanted);
}

static void count_change(void *user_data)
{
    ++*(int *)user_data;
}

static void test_components_are_sorted(void)
{
    int changes = 0;
    mf_runtime *runtime = make();
    const mf_probe *probe = mf_runtime_probe(runtime);
    probe->watch(probe->self, count_change, &changes);
    mfi_component b = {.target = "b"};
    mfi_component c = {.target = "c"};
    mfi_component a = {.target = "a"};
    mfi_component second_b = {.target = "b", .is_child = true};
    mfi_runtime_add_component(runtime, &b);
    mfi_runtime_add_component(runtime, &c);
    mfi_runtime_add_component(runtime, &a);
    mfi_runtime_add_component(runtime, &second_b); /* behind its equal */
    check_order(runtime, "a0 b0 b1 c0 ");
    mfi_runtime_remove_component(runtime, &b);
    check_order(runtime, "a0 b1 c0 ");
    mf_check_int(changes, 5);
    probe->watch(probe->self, NULL, NULL);
    mfi_runtime_remove_component(runtime, &c);
    mfi_runtime_remove_component(runtime, &a);
    mfi_runtime_remove_component(runtime, &a); /* is a no-op */
    check_order(runtime, "b1 ");
    mfi_runtime_remove_component(runtime, &second_b);
    check_order(runtime, "");
    mf_check_int(changes, 5);
    mf_runtime_destroy(runtime);
}

/* ---- Memory ---- */

/* Each allocation fails once: an error without anything left behind, or a runtime that works. */
static void test_without_memory(void)
{
    bool reached = true;
    long refused = 0;
    mf_runtime_destroy(make()); /* what is made once for the process */
    for (long n = 0; reached; n++) {
        mf_runtime *runtime = NULL;
        bool ran = false;
        mf_error error = MF_ERROR_INIT;
        mf_alloc_fail_at(n);
        mf_status status = mf_runtime_create(&runtime, NULL, &error);
        reached = mf_alloc_stop();
        if (status == MF_OK) {
            mfi_loop_call(runtime->loop, set_true, &ran);
            mf_check(ran);
            mf_runtime_destroy(runtime);
        } else {
            if (status != MF_ERR_NO_MEMORY) { /* a thread that could not be started says why */
                mf_check_int(status, MF_ERR_SYSTEM);
                mf_check_contains(error.message, strerror(ENOMEM));
            }
            mf_check(reached);
            mf_check(runtime == NULL);
            refused++;
        }
    }
    mf_check(refused > 10);
}

static void test_roles(void)
{
    static const char *const wrong[] = {"", "server", "Parent", "child\x1b[m"};
    static const char *const right[] = {"parent", "child"};
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.role = wrong[i];
        mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, "role must be parent or child, not '");
        mf_check(strchr(error.message, '\x1b') == NULL);
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        options.role = right[i];
        mf_check_int(mf_runtime_create(&runtime, &options, &error), MF_OK);
        mf_runtime_destroy(runtime);
    }
}

/* ---- COMLINK_LOG_SINK ---- */

static void test_log_sink_of_the_environment(void)
{
    char path[512];
    struct stat facts;
    mf_runtime *runtime = NULL;
    mf_error error = MF_ERROR_INIT;
    (void)snprintf(path, sizeof path, "%s/runtime.log", mf_test_temp_dir());
    (void)setenv("COMLINK_LOG_SINK", "nowhere", 1);
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "COMLINK_LOG_SINK is 'nowhere'");
    (void)setenv("COMLINK_LOG_SINK", "/nonexistent/log", 1);
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_ERR_IO);
    mf_check_contains(error.message, "COMLINK_LOG_SINK: ");
    (void)setenv("COMLINK_LOG_SINK", path, 1);
    mf_check_int(mf_runtime_create(&runtime, NULL, &error), MF_OK);
    (void)unsetenv("COMLINK_LOG_SINK");
    mf_log_event(mf_runtime_logger(runtime), MF_LOG_INFO, "e", "m", NULL, 0);
    mf_runtime_destroy(runtime);
    mf_check_int(stat(path, &facts), 0);
    mf_check(facts.st_size > 0);
}

static const mf_test tests[] = {
    {"runtime__roles", test_roles},
    {"runtime__last_reference_ends_it", test_last_reference_ends_it},
    {"runtime__private_one_for_each_user", test_private_one},
    {"runtime__forked_process_must_not_use_it", test_fork},
    {"runtime__names_are_copied_or_made", test_names},
    {"runtime__what_is_refused", test_what_is_refused},
    {"runtime__baggage_keys", test_baggage_keys},
    {"runtime__log_sink_of_the_environment", test_log_sink_of_the_environment},
    {"runtime__shows_its_parts", test_parts},
    {"runtime__components_are_sorted", test_components_are_sorted},
    {"runtime__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
