/* A registry's function that only the library uses. */
#ifndef MFI_DISCOVERY_INSIDE_H
#define MFI_DISCOVERY_INSIDE_H

#include <multifrost/registry.h>

/* The folder of the registry's file. Borrowed from the registry. */
const char *mfi_registry_directory(const mf_registry *registry);

#endif
