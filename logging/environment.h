/* The sink that the environment asks for. */
#ifndef MFI_LOGGING_ENVIRONMENT_H
#define MFI_LOGGING_ENVIRONMENT_H

#include <multifrost/log.h>

/* Adds the sink that COMLINK_LOG_SINK names: stderr, stdout, or a path. Unset or empty: adds none.
 * MF_OK; MF_ERR_INVALID_ARGUMENT or MF_ERR_IO naming the variable; as mf_log_add_file(). */
mf_status mfi_log_add_from_environment(mf_logger *logger, mf_error *error);

#endif
