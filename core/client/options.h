/* From mf_parent_options to settings: defaults, checks, copies. */
#ifndef MFI_ENGINE_PARENT_OPTIONS_H
#define MFI_ENGINE_PARENT_OPTIONS_H

#include "core/client/parent.h"

/* Fills zeroed settings; to be released with _fini also after a failure. */
mf_status mfi_parent_settings_init(mfi_parent_settings *settings, const mf_parent_options *options,
                                   mf_runtime **ret_runtime, mf_error *error);
void mfi_parent_settings_fini(mfi_parent_settings *settings);

/* Limits from options, zero for the defaults; MF_ERR_INVALID_ARGUMENT names the one out of range.
 */
mf_status mfi_limits_pick(mfi_limits *ret_limits, int64_t max_string_bytes, int64_t max_items,
                          mf_error *error);

/* A list of count strings that ends with `last` (NULL: none), copied. NULL without memory. */
char **mfi_list_copy(const char *const *list, const char *last);
void mfi_list_free(char **list);

#endif
