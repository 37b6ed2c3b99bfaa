/* The place of the registry's folder, and the owner that it must have. */
#include "core/discovery/folder.h"
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

/* Root's own folder is trusted by all. */
static void test_a_folder_of_another_user_is_refused(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_registry *registry = open_registry(0);
    if (geteuid() == 0) {
        write_text("services.json", "{\"a\": {\"port\": 7, \"pid\": 1}}");
        mf_check_int(chown(folder, 65534, 65534), 0);
    } else {
        mf_registry_destroy(registry);
        return; /* nobody but root can give a folder away */
    }
    mf_check_int(mf_registry_find(registry, "a", &found, &error), MF_ERR_IO);
    mf_check_contains(error.message, "belongs to user ");
    mf_check_int(mf_registry_list(registry, visit_nothing, NULL, NULL), MF_ERR_IO);
    mf_check_int(mf_registry_register(registry, "b", 1, &error), MF_ERR_IO);
    mf_check_contains(error.message, "belongs to user ");
    mf_check_int(mf_registry_unregister(registry, "a", NULL), MF_ERR_IO);
    mf_registry_destroy(registry);
}

static void check_untrusted(mf_registry *registry, const char *text)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_check_int(mf_registry_find(registry, "a", &found, &error), MF_ERR_IO);
    mf_check_contains(error.message, text);
    mf_check_int(mf_registry_discover(registry, "a", 60000, &found, &error), MF_ERR_IO);
    mf_check_int(mf_registry_list(registry, visit_nothing, NULL, &error), MF_ERR_IO);
    mf_check_contains(error.message, text);
    mf_check_int(mf_registry_register(registry, "b", 1, &error), MF_ERR_IO);
    mf_check_contains(error.message, text);
    mf_check_int(mf_registry_unregister(registry, "a", NULL), MF_ERR_IO);
}

/* The group of the same number as the user is the user's own, except root's. */
static void test_what_others_may_write_is_not_trusted(void)
{
    char text[900];
    mf_service found = MF_SERVICE_INIT;
    mf_registry *registry = open_registry(0);
    write_text("services.json", "{\"a\": {\"port\": 7, \"pid\": 1}}");
    (void)snprintf(text, sizeof text, "others may write to the registry's folder '%s'", folder);
    mf_check_int(chmod(folder, 0777), 0);
    check_untrusted(registry, text);
    mf_check_int(chmod(folder, 01777), 0);
    check_untrusted(registry, text);
    mf_check_int(chmod(folder, 0770), 0);
    if (geteuid() == 0) {
        check_untrusted(registry, text);
    }
    mf_check_int(chmod(folder, 0755), 0);
    mf_check_int(mf_registry_find(registry, "a", &found, NULL), MF_OK);
    (void)snprintf(text, sizeof text, "others may write to '%s'", path_of("services.json"));
    mf_check_int(chmod(path_of("services.json"), 0666), 0);
    check_untrusted(registry, text);
    mf_check_int(chmod(path_of("services.json"), 0664), 0);
    if (geteuid() == 0) {
        check_untrusted(registry, text);
    }
    mf_check_int(chmod(folder, 0700), 0); /* the group cannot reach the file */
    mf_check_int(mf_registry_find(registry, "a", &found, NULL), MF_OK);
    mf_registry_destroy(registry);
}

static void test_a_file_of_another_user_is_refused(void)
{
    mf_registry *registry = open_registry(0);
    if (geteuid() == 0) {
        write_text("services.json", "{\"a\": {\"port\": 7, \"pid\": 1}}");
        mf_check_int(chown(path_of("services.json"), 65534, 65534), 0);
        check_untrusted(registry, "services.json' belongs to user 65534, and this process");
    } else {
        struct stat facts = {.st_uid = geteuid() + 1, .st_mode = S_IFREG | 0600};
        mf_check_int(mfi_registry_check_trust(&facts, true, "it", NULL), MF_ERR_IO);
    }
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
    {"registry__what_others_may_write_is_not_trusted", test_what_others_may_write_is_not_trusted},
    {"registry__a_file_of_another_user_is_refused", test_a_file_of_another_user_is_refused},
    {"registry__that_is_null_is_refused", test_a_registry_that_is_null_is_refused},
    {"registry__a_folder_by_option_keeps_its_mode", test_a_folder_by_option_keeps_its_mode},
    {"registry__a_folder_of_another_user_is_refused", test_a_folder_of_another_user_is_refused},
};

MF_TEST_MAIN(tests)
