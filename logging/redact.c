/* Masks values of secrets in the program's own fields, by their key and by their length. It exists
 * because a log goes to more people and places than the program's memory does. */
#include "logging/redact.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

/* ---- Options ---- */

static mf_status copy_keys(mfi_redaction *redaction, const char *const *keys, size_t count,
                           mf_error *error)
{
    redaction->keys = calloc(count + 1, sizeof *redaction->keys);
    bool complete = redaction->keys != NULL;
    for (size_t i = 0; complete && i < count; i++) {
        redaction->keys[i] = strdup(keys[i]);
        complete = redaction->keys[i] != NULL;
    }
    return complete ? MF_OK : mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a logger");
}

mf_status mfi_redaction_init(mfi_redaction *redaction, const mf_log_options *options,
                             mf_error *error)
{
    size_t count = 0;
    while (options->redact_keys != NULL && options->redact_keys[count] != NULL) {
        if (options->redact_keys[count][0] == '\0' || count == MFI_REDACT_KEYS_MAX) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "redact_keys must be at most %d words, none of them empty",
                            MFI_REDACT_KEYS_MAX);
        }
        count++;
    }
    if (options->redact_value_bytes < 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "redact_value_bytes must not be negative");
    }
    redaction->value_bytes = (size_t)options->redact_value_bytes;
    return count > 0 ? copy_keys(redaction, options->redact_keys, count, error) : MF_OK;
}

void mfi_redaction_fini(mfi_redaction *redaction)
{
    for (size_t i = 0; redaction->keys != NULL && redaction->keys[i] != NULL; i++) {
        free(redaction->keys[i]);
    }
    free(redaction->keys);
    redaction->keys = NULL;
}

/* ---- Fields ---- */

static bool has_word(const char *key, const char *word)
{
    size_t size = strlen(key);
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= size; i++) {
        if (mfi_str_same(key + i, word, length)) {
            return true;
        }
    }
    return false;
}

/* The built-in words count wherever they stand in a key. */
static bool is_secret(const char *key)
{
    static const char *const words[] = {"password", "token",  "authorization",
                                        "secret",   "cookie", "api_key"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (has_word(key, words[i])) {
            return true;
        }
    }
    return false;
}

/* A word of the program is the key, or its end behind an underscore. */
static bool ends_with(const char *key, const char *word)
{
    size_t size = strlen(key);
    size_t end = strlen(word);
    return size >= end && mfi_str_same(key + size - end, word, end) &&
           (size == end || key[size - end - 1] == '_');
}

static bool is_chosen(const mfi_redaction *redaction, const mf_log_field *field)
{
    for (char **key = redaction->keys; key != NULL && *key != NULL; key++) {
        if (ends_with(field->key, *key)) {
            return true;
        }
    }
    const char *text = field->type == MF_LOG_TYPE_STR ? field->value.str_value : NULL;
    return redaction->value_bytes != 0 && text != NULL &&
           strnlen(text, redaction->value_bytes + 1) > redaction->value_bytes;
}

bool mfi_redact(mfi_redaction *redaction, const mf_log_field *field)
{
    bool masked = is_secret(field->key) || (redaction != NULL && is_chosen(redaction, field));
    if (masked && redaction != NULL) {
        atomic_fetch_add_explicit(&redaction->count, 1, memory_order_relaxed);
    }
    return masked;
}
