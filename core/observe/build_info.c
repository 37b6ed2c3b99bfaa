/* Names and facts of the build and the process. It exists so that every metric and log line can be
 * traced to a program, its version and its libraries. */
#include "core/observe/build_info.h"

#include <errno.h>
#include <unistd.h>

#include <msgpack.h>
#include <zmq.h>

#include <multifrost/version.h>

#include "base/str.h"
#include "metrics/metric_set.h"

#if defined(__clang__)
static const char compiler[] = "clang " __clang_version__;
#else
static const char compiler[] = "gcc " __VERSION__;
#endif

const char *mfi_build_program(void)
{
    return program_invocation_short_name;
}

void mfi_build_instance(char *to, size_t size)
{
    char host[64];
    if (gethostname(host, sizeof host) != 0) {
        (void)mfi_str_copy(host, sizeof host, "localhost");
    }
    host[sizeof host - 1] = '\0';
    (void)mfi_str_format(to, size, "%s-%d", host, (int)getpid());
}

static mf_status add_info(mf_metrics *metrics, const char *name, const char *help,
                          const char *const *labels, const char *const *values, size_t count,
                          mf_error *error)
{
    mf_family *family = NULL;
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = MF_METRIC_INFO,
                                 .name = name,
                                 .help = help,
                                 .label_names = labels,
                                 .label_count = count,
                                 .max_series = 1};
    mf_status status = mfi_metric_set_add(metrics, &options, &family, error);
    if (status == MF_OK) {
        mf_family_info(family, values);
    }
    return status;
}

mf_status mfi_build_info_add(mf_metrics *metrics, const char *service, const char *version,
                             const char *instance, const char *service_namespace, mf_error *error)
{
    static const char *const target_labels[] = {"service_name", "service_version",
                                                "service_instance_id", "service_namespace"};
    static const char *const build_labels[] = {"version", "revision",      "compiler",
                                               "libzmq",  "libmicrohttpd", "msgpack"};
    char zmq[32];
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    (void)mfi_str_format(zmq, sizeof zmq, "%d.%d.%d", major, minor, patch);
    const char *const target_values[] = {service, version, instance, service_namespace};
    const char *const build_values[] = {
        MF_VERSION_STRING,         MF_VERSION_REVISION, compiler, zmq,
        MFI_LIBMICROHTTPD_VERSION, msgpack_version()};
    mf_status status = add_info(metrics, "target_info", "Who exposes these metrics", target_labels,
                                target_values, 4, error);
    if (status == MF_OK) {
        status = add_info(metrics, "multifrost_build_info",
                          "Versions of the library and of what "
                          "it is built on",
                          build_labels, build_values, 6, error);
    }
    return status;
}
