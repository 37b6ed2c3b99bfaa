/* The standard process_* families, read from /proc/self before each collection. */
#ifndef MFI_METRICS_PROCESS_METRICS_H
#define MFI_METRICS_PROCESS_METRICS_H

#include <multifrost/error.h>
#include <multifrost/metrics.h>

/* Adds the families. A value that this system does not offer is left out. */
mf_status mfi_metrics_add_process(mf_metrics *metrics, mf_error *error);

#endif
