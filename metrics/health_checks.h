/* Health checks that a program adds. The owner of an mf_probe shows them in its visit. */
#ifndef MFI_METRICS_HEALTH_CHECKS_H
#define MFI_METRICS_HEALTH_CHECKS_H

#include <multifrost/error.h>
#include <multifrost/probe.h>

typedef struct mfi_health_checks mfi_health_checks; /* thread-safe */

mfi_health_checks *mfi_health_checks_create(void);         /* NULL without memory */
void mfi_health_checks_destroy(mfi_health_checks *checks); /* NULL is a no-op */

/* Copies the check. MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_EXISTS; MF_ERR_NO_MEMORY. */
mf_status mfi_health_checks_add(mfi_health_checks *checks, const mf_health_check *check,
                                mf_error *error);
/* Waits for a running visit; after the return the check does not run again. The measurement may be
 * NULL. A check that was not added is a no-op. */
void mfi_health_checks_remove(mfi_health_checks *checks, const char *component,
                              const char *measurement);
/* Runs every check in the order in which they were added, and shows each outcome. A check must not
 * add or remove checks. */
void mfi_health_checks_visit(mfi_health_checks *checks, mf_health_visit_fn visit, void *user_data);

#endif
