/* The place of the registry's folder, and the owner that it must have. */
#include "registry_support.h"

static int mode_of_folder(void)
{
    struct stat facts = {.st_mode = 0};
    mf_check_int(stat(folder, &facts), 0);
    return (int)(facts.st_mode & 07777);
}

static void test_a_folder_by_option_keeps_its_mode(void)
{
    mf_registry *registry = open_registry(0);
    mf_check_int(mkdir(folder, 0700), 0);
    mf_check_int(chmod(folder, 0750), 0);
    mf_check_int(mf_registry_register(registry, "a", 1, NULL), MF_OK);
    mf_check_int(mode_of_folder(), 0750);
    mf_registry_destroy(registry);
    registry = open_registry(0);
    mf_check_int(mf_registry_register(registry, "a", 1, NULL), MF_OK);
    mf_check_int(mode_of_folder(), 0700); /* our own */
    mf_registry_destroy(registry);
}

static void visit_nothing(const mf_service *service, void *user_data)
{
    (void)service;
    (void)user_data;
    mf_check(!"an entry was shown");
}

static void test_a_registry_that_is_null_is_refused(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_check_int(mf_registry_register(NULL, "a", 1, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "registry is NULL");
    mf_check_int(mf_registry_unregister(NULL, "a", NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_registry_find(NULL, "a", &found, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_registry_discover(NULL, "a", 60000, &found, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_registry_list(NULL, visit_nothing, NULL, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_registry_wait(NULL, 60000, NULL), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_registry_watch_fd(NULL), -1);
    mf_registry *registry = open_registry(0);
    mf_check_int(mf_registry_list(registry, NULL, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "visit is NULL");
    mf_registry_destroy(registry);
}

/* As root we give one away; others take one of root's. */
static void test_a_folder_of_another_user_is_refused(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_registry *registry = open_registry(0);
    if (geteuid() == 0) {
        write_text("services.json", "{\"a\": {\"port\": 7, \"pid\": 1}}");
        mf_check_int(chown(folder, 65534, 65534), 0);
    } else {
        mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
        options.directory = "/";
        mf_registry_destroy(registry);
        mf_check_int(mf_registry_create(&registry, &options, NULL), MF_OK);
    }
    mf_check_int(mf_registry_find(registry, "a", &found, &error), MF_ERR_IO);
    mf_check_contains(error.message, "belongs to user ");
    mf_check_int(mf_registry_list(registry, visit_nothing, NULL, NULL), MF_ERR_IO);
    mf_check_int(mf_registry_register(registry, "b", 1, &error), MF_ERR_IO);
    mf_check_contains(error.message, "belongs to user ");
    mf_check_int(mf_registry_unregister(registry, "a", NULL), MF_ERR_IO);
    mf_registry_destroy(registry);
}

static void test_the_folder_is_below_home(void)
{
    mf_registry *registry = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_registry_options options = MF_REGISTRY_OPTIONS_INIT;
    const char *home = getenv("HOME");
    char *kept = home != NULL ? strdup(home) : NULL;
    (void)unsetenv("HOME");
    mf_check_int(mf_registry_create(&registry, NULL, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "HOME");
    (void)setenv("HOME", mf_test_temp_dir(), 1);
    mf_check_int(mf_registry_create(&registry, NULL, &error), MF_OK);
    /* One that another language made, open to all, is closed. */
    (void)snprintf(folder, sizeof folder, "%s/.multifrost", mf_test_temp_dir());
    mf_check_int(mkdir(folder, 0700), 0);
    mf_check_int(chmod(folder, 0755), 0);
    mf_check_int(mf_registry_register(registry, "home", 1, &error), MF_OK);
    mf_check(exists("services.json"));
    mf_check_int(mode_of_folder(), 0700);
    mf_registry_destroy(registry);
    options.directory = "/proc/nowhere";
    mf_check_int(mf_registry_create(&registry, &options, &error), MF_OK);
    mf_check_int(mf_registry_register(registry, "a", 1, &error), MF_ERR_IO);
    mf_check_contains(error.message, "/proc/nowhere");
    mf_check_int(mf_registry_unregister(registry, "a", &error), MF_OK);
    mf_registry_destroy(registry);
    options.lock_timeout_ms = -1;
    mf_check_int(mf_registry_create(&registry, &options, &error), MF_ERR_INVALID_ARGUMENT);
    if (kept != NULL) {
        (void)setenv("HOME", kept, 1);
    } else {
        (void)unsetenv("HOME");
    }
    free(kept);
}

static const mf_test tests[] = {
    {"registry__the_folder_is_below_home", test_the_folder_is_below_home},
    {"registry__that_is_null_is_refused", test_a_registry_that_is_null_is_refused},
    {"registry__a_folder_by_option_keeps_its_mode", test_a_folder_by_option_keeps_its_mode},
    {"registry__a_folder_of_another_user_is_refused", test_a_folder_of_another_user_is_refused},
};

MF_TEST_MAIN(tests)
