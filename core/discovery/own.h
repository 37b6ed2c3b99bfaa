/* The entries that this process has made, of all its registries.
 *
 * A pid does not tell a process from one that had the pid before: in a container a service has the
 * same pid in each of its lives. */
#ifndef MFI_DISCOVERY_OWN_H
#define MFI_DISCOVERY_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>

/* Any thread. Of one name in one folder the last port counts. MF_ERR_NO_MEMORY. */
mf_status mfi_registry_own_add(const char *directory, const char *id, uint16_t port,
                               mf_error *error);
void mfi_registry_own_remove(const char *directory, const char *id);
/* True if this process has made such an entry, and has not taken it out. */
bool mfi_registry_own_has(const char *id, uint16_t port);

#endif
