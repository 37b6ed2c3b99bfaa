/* Facts about the build and the process: as info metrics, and as default names. */
#ifndef MFI_OBSERVE_BUILD_INFO_H
#define MFI_OBSERVE_BUILD_INFO_H

#include <stddef.h>

#include <multifrost/error.h>
#include <multifrost/metrics.h>

/* Adds the metrics target_info and multifrost_build_info. */
mf_status mfi_build_info_add(mf_metrics *metrics, const char *service, const char *version,
                             const char *instance, const char *service_namespace, mf_error *error);
/* Name of the running program; static storage. */
const char *mfi_build_program(void);
/* Writes "<host name>-<pid>", such as "host-4711". */
void mfi_build_instance(char *to, size_t size);

#endif
