/* What the library itself asks a registry. */
#ifndef MFI_DISCOVERY_INSIDE_H
#define MFI_DISCOVERY_INSIDE_H

#include <multifrost/registry.h>

/* Where its file is. Belongs to the registry. */
const char *mfi_registry_directory(const mf_registry *registry);

#endif
