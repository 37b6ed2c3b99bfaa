/* The transport that a runtime gets: the option decides, else the environment, else the default. */
#include <stdio.h>
#include <stdlib.h>

#include "core/transport/transport.h"
#include "mf_test.h"

static char kept[64];
static bool was_set;

static void keep_environment(void)
{
    const char *before = getenv("COMLINK_TRANSPORT");
    was_set = before != NULL;
    (void)snprintf(kept, sizeof kept, "%s", was_set ? before : "");
}

static void restore_environment(void)
{
    if (was_set) {
        (void)setenv("COMLINK_TRANSPORT", kept, 1);
    } else {
        (void)unsetenv("COMLINK_TRANSPORT");
    }
}

static void check_opens(mf_transport transport)
{
    mf_error error = MF_ERROR_INIT;
    mfi_messaging *messaging = NULL;
    mf_check_int(mfi_messaging_create(&messaging, transport, &error), MF_OK);
    mf_check(messaging != NULL);
    if (messaging != NULL) {
        messaging->destroy(messaging);
    }
}

static void check_refused(mf_transport transport, const char *what, const char *name)
{
    mf_error error = MF_ERROR_INIT;
    mfi_messaging *messaging = NULL;
    mf_check_int(mfi_messaging_create(&messaging, transport, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, what);
    mf_check_contains(error.message, name);
    mf_check(messaging == NULL);
}

static void test_the_environment_names_it(void)
{
    static const char *const words[] = {"", "direct", "libzmq"};
    keep_environment();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        (void)setenv("COMLINK_TRANSPORT", words[i], 1);
        check_opens(MF_TRANSPORT_DEFAULT);
    }
    (void)unsetenv("COMLINK_TRANSPORT");
    check_opens(MF_TRANSPORT_DEFAULT);
    (void)setenv("COMLINK_TRANSPORT", "pigeon", 1);
    check_refused(MF_TRANSPORT_DEFAULT, "COMLINK_TRANSPORT", "pigeon");
    restore_environment();
}

static void test_the_option_comes_first(void)
{
    keep_environment();
    (void)setenv("COMLINK_TRANSPORT", "pigeon", 1);
    check_opens(MF_TRANSPORT_DIRECT);
    check_opens(MF_TRANSPORT_LIBZMQ);
    check_refused((mf_transport)77, "transport", "77");
    restore_environment();
}

static const mf_test tests[] = {
    {"transport__the_environment_names_it", test_the_environment_names_it},
    {"transport__the_option_comes_first", test_the_option_comes_first},
};
MF_TEST_MAIN(tests)
