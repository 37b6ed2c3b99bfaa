/* The exposition of a set, with more to choose than mf_metrics_render() offers. */
#ifndef MFI_METRICS_EXPOSITION_H
#define MFI_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

#include <multifrost/metrics.h>

typedef struct mfi_exposition {
    mf_metrics_format format;
    const char *const *names; /* NULL-terminated: only families of these names; NULL: all */
    bool in_haste;            /* the collectors do not run if they have run before */
} mfi_exposition;

/* As mf_metrics_render(). A name that no family has is ignored. *ret_is_partial says whether the
 * collectors were left out. */
mf_status mfi_exposition_render(mf_metrics *metrics, const mfi_exposition *how, char **ret_body,
                                size_t *ret_length, bool *ret_is_partial, mf_error *error);

/* Whether this build can write a format. */
bool mfi_exposition_has(mf_metrics_format format);

#endif
