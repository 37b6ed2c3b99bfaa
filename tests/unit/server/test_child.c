/* Creation of a worker, and the functions that a program may call on one that never ran. */
#include <multifrost/child.h>

#include "mf_test.h"

static mf_status nothing(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)reply;
    (void)user_data;
    return MF_OK;
}

static void test_child_needs_a_port_or_a_service_id(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_create(&child, NULL, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "service_id");
    mf_check(child == NULL);
    mf_check_int(mf_child_create(NULL, NULL, &error), MF_ERR_INVALID_ARGUMENT);
}

static void test_child_with_wrong_options_leaves_nothing(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.service_id = "worker";
    options.threads = 257;
    mf_check_int(mf_child_create(&child, &options, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "threads");
    mf_check(child == NULL);
}

static void test_child_that_never_ran_can_be_stopped_and_destroyed(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.service_id = "worker";
    options.registry_directory = mf_test_temp_dir();
    options.threads = 4;
    mf_check_int(mf_child_create(&child, &options, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(mf_child_port(child), 0);
    mf_child_stop(child);
    mf_child_destroy(child);
}

static void test_run_gives_the_first_failure_of_handle(void)
{
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.service_id = "worker";
    options.registry_directory = mf_test_temp_dir();
    mf_check_int(mf_child_create(&child, &options, &error), MF_OK);
    mf_check_int(mf_child_handle(child, "ping", nothing, NULL), MF_OK); /* a builtin's name */
    mf_check_int(mf_child_handle(child, "ping", nothing, NULL), MF_ERR_EXISTS);
    mf_check_int(mf_child_handle(child, "", nothing, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_child_run(child, &error), MF_ERR_EXISTS);
    mf_check_contains(error.message, "'ping'");
    mf_child_destroy(child);
}

static void test_no_child_is_an_error_or_nothing(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_child_handle(NULL, "a", nothing, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_child_run(NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_child_port(NULL), 0);
    mf_child_stop(NULL);
    mf_child_destroy(NULL);
}

static const mf_test tests[] = {
    {"child__needs_a_port_or_a_service_id", test_child_needs_a_port_or_a_service_id},
    {"child__with_wrong_options_leaves_nothing", test_child_with_wrong_options_leaves_nothing},
    {"child__that_never_ran_can_be_stopped_and_destroyed",
     test_child_that_never_ran_can_be_stopped_and_destroyed},
    {"child__run_gives_the_first_failure_of_handle", test_run_gives_the_first_failure_of_handle},
    {"child__no_child_is_an_error_or_nothing", test_no_child_is_an_error_or_nothing},
};

MF_TEST_MAIN(tests)
