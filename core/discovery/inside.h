/* Functions of a registry that only the library uses. */
#ifndef MFI_DISCOVERY_INSIDE_H
#define MFI_DISCOVERY_INSIDE_H

#include <multifrost/registry.h>

#include "core/discovery/file.h"

/* The folder of the registry's file. Borrowed from the registry. */
const char *mfi_registry_directory(const mf_registry *registry);
/* False from when the watched folder is removed or replaced until the watch is opened again. */
bool mfi_registry_is_watched(mf_registry *registry);
/* mf_registry_find() without its wait for a peer that writes the file in place. Instead *ret_doubt
 * says whether the answer may be that of a file that is only half written. The arguments must be
 * valid. */
mf_status mfi_registry_look(mf_registry *registry, const char *id, mf_service *ret_service,
                            mfi_registry_doubt *ret_doubt, mf_error *error);
/* The pid of the service's entry, whether that process runs or has ended; 0 if there is none. */
int64_t mfi_registry_entered_pid(mf_registry *registry, const char *id);
/* The same as mfi_registry_look(), not counted in the metrics. */
mf_status mfi_registry_peek(mf_registry *registry, const char *id, mf_service *ret_service,
                            mfi_registry_doubt *ret_doubt, mf_error *error);

#endif
