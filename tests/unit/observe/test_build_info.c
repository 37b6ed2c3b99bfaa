/* The two info metrics, and the default names. */
#include "core/observe/build_info.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msgpack.h>
#include <zmq.h>

#include <multifrost/version.h>

#include "base/str.h"
#include "mf_test.h"

static void test_infos_are_exposed_first(void)
{
    mf_metrics *metrics = NULL;
    char *text = NULL;
    char wanted[1024];
    size_t length = 0;
    int major = 0, minor = 0, patch = 0;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_build_info_add(metrics, "shop", "1.2", "host-7", "team \"a\"", NULL), MF_OK);
    mf_check_int(mf_metrics_render(metrics, MF_METRICS_OPENMETRICS, &text, &length, NULL), MF_OK);
    zmq_version(&major, &minor, &patch);
    (void)mfi_str_format(
        wanted, sizeof wanted,
        "# HELP target Who exposes these metrics\n# TYPE target info\n"
        "target_info{service_name=\"shop\",service_version=\"1.2\",service_instance_id=\"host-7\","
        "service_namespace=\"team \\\"a\\\"\"} 1\n"
        "# HELP multifrost_build Versions of the library and of what it is built on\n"
        "# TYPE multifrost_build info\n"
        "multifrost_build_info{version=\"" MF_VERSION_STRING "\",revision=\"" MF_VERSION_REVISION
        "\",compiler=\"%s " __VERSION__ "\",libzmq=\"%d.%d.%d\",libmicrohttpd=\"",
#if defined(__clang__)
        "clang",
#else
        "gcc",
#endif
        major, minor, patch);
    mf_check(strncmp(text, wanted, strlen(wanted)) == 0);
    const char *rest = strstr(text, "libmicrohttpd=\"");
    mf_check(rest != NULL && rest[15] >= '0' && rest[15] <= '9');
    (void)mfi_str_format(wanted, sizeof wanted, "\",msgpack=\"%s\"} 1\n", msgpack_version());
    mf_check_contains(text, wanted);
    free(text);
    mf_metrics_destroy(metrics);
}

/* One set says who it is only once. */
static void test_second_time_is_refused(void)
{
    mf_metrics *metrics = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    mf_check_int(mfi_build_info_add(metrics, "a", "", "", "", NULL), MF_OK);
    mf_check_int(mfi_build_info_add(metrics, "b", "", "", "", &error), MF_ERR_EXISTS);
    mf_check_contains(error.message, "target_info");
    mf_metrics_destroy(metrics);
}

static void test_default_names(void)
{
    char host[64], instance[128], wanted[128], small[6];
    mf_check_int(gethostname(host, sizeof host), 0);
    (void)snprintf(wanted, sizeof wanted, "%s-%d", host, (int)getpid());
    mfi_build_instance(instance, sizeof instance);
    mf_check_str(instance, wanted);
    mfi_build_instance(small, sizeof small); /* cut, and ended */
    mf_check_int(strncmp(small, wanted, strlen(small)), 0);
    mf_check_int(strlen(small), 5);
    mf_check_str(mfi_build_program(), "test_observe_build_info");
}

static const mf_test tests[] = {
    {"build_info__is_exposed_first", test_infos_are_exposed_first},
    {"build_info__second_time_is_refused", test_second_time_is_refused},
    {"build_info__default_names", test_default_names},
};
MF_TEST_MAIN(tests)
