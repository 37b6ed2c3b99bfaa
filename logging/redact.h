/* Which values of the program's own fields a logger masks. */
#ifndef MFI_LOGGING_REDACT_H
#define MFI_LOGGING_REDACT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/log.h>

#define MFI_REDACT_KEYS_MAX 64 /* of the program's own */

typedef struct mfi_redaction {
    char **keys; /* of the program's own, beside the built-in ones; NULL-terminated, or NULL */
    size_t value_bytes;      /* longer texts are masked; 0: none for its length */
    _Atomic(uint64_t) count; /* masked values, relaxed */
} mfi_redaction;

/* Fills a zeroed redaction from the options. To be released with _fini, also after a failure. */
mf_status mfi_redaction_init(mfi_redaction *redaction, const mf_log_options *options,
                             mf_error *error);
void mfi_redaction_fini(mfi_redaction *redaction);

/* Whether the value of a field has to be masked; counts it then. redaction NULL: only the built-in
 * keys are looked at. */
bool mfi_redact(mfi_redaction *redaction, const mf_log_field *field);

#endif
