/* From mf_parent_options to settings: defaults, checks, copies. */
#ifndef MFI_ENGINE_PARENT_OPTIONS_H
#define MFI_ENGINE_PARENT_OPTIONS_H

#include "core/engine/parent.h"

/* Fills zeroed settings; to be released with _fini also after a failure. */
mf_status mfi_parent_settings_init(mfi_parent_settings *settings, const mf_parent_options *options,
                                   mf_runtime **ret_runtime, mf_error *error);
void mfi_parent_settings_fini(mfi_parent_settings *settings);

/* A list of count strings that ends with `last` (NULL: none), copied. NULL without memory. */
char **mfi_list_copy(const char *const *list, const char *last);
void mfi_list_free(char **list);

#endif
