/* Reads a line at the admin socket. It exists so that all checks of a line stand in one place,
 * which touches nothing: a line that is refused has changed nothing. */
#include "admin/line.h"

#include <string.h>

#include <multifrost/json.h>

#include "base/error.h"
#include "base/str.h"

#define FIELDS_MAX 11 /* with the NULL that ends them */
#define LIST_MAX 200
#define DELAY_MOST_MS 600000
#define LASTS_MOST_MS 3600000
#define LASTS_DEFAULT_MS 60000

static const char *const fields[MFI_ADMIN_COMMAND_COUNT][FIELDS_MAX] = {
    [MFI_ADMIN_LOG_LEVEL] = {"level", "part"},
    [MFI_ADMIN_CIRCUIT] = {"action", "target", "worker"},
    [MFI_ADMIN_DRAIN] = {"action", "target", "worker"},
    [MFI_ADMIN_RESTART] = {"target", "worker"},
    [MFI_ADMIN_FAULT] = {"action", "target", "worker", "function", "kind", "share", "delay_ms",
                         "seed", "for_ms", "count"},
};
const char *const *mfi_admin_fields(mfi_admin_command command)
{
    return fields[command];
}

/* ---- Words ---- */

static const char *command_word(int at)
{
    return at < MFI_ADMIN_UNKNOWN ? mfi_admin_command_word((mfi_admin_command)at) : NULL;
}

static const char *order_word(int at)
{
    return at < MFI_ORDER_COUNT ? mfi_circuit_order_word((mfi_circuit_order)at) : NULL;
}

static const char *kind_word(int at)
{
    return at < MFI_FAULT_COUNT ? mfi_fault_word((mfi_fault_kind)at) : NULL;
}

static const char *drain_word(int at)
{
    static const char *const words[] = {"begin", "end", NULL};
    return words[at];
}

static const char *fault_word(int at)
{
    static const char *const words[] = {"arm", "clear", NULL};
    return words[at];
}

static void list_words(char *to, const char *(*word)(int at))
{
    size_t length = 0;
    to[0] = '\0';
    for (int i = 0; word(i) != NULL; i++) {
        length +=
            mfi_str_format(to + length, LIST_MAX - length, "%s%s", i > 0 ? ", " : "", word(i));
    }
}

/* ---- Fields ---- */

/* "" where the field is missing. */
static mf_status read_text(const mf_value *map, const char *key, size_t size, const char **ret_text,
                           mf_error *error)
{
    const mf_value *value = mf_value_find(map, key);
    *ret_text = "";
    if (value == NULL) {
        return MF_OK;
    }
    if (mf_value_get_str(value, ret_text) != MF_OK) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be a string, not %s", key,
                        mf_type_name((mf_type)value->type));
    }
    if (value->length == 0 || value->length >= size) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s has %u bytes; it must have 1 to %zu",
                        key, (unsigned)value->length, size - 1);
    }
    return MF_OK;
}

static mf_status read_name(const mf_value *map, const char *key, char to[MFI_COMMAND_NAME_MAX],
                           mf_error *error)
{
    const char *text = "";
    mf_status status = read_text(map, key, MFI_COMMAND_NAME_MAX, &text, error);
    (void)mfi_str_copy(to, MFI_COMMAND_NAME_MAX, status == MF_OK ? text : "");
    return status;
}

/* fallback: the value where the field is missing; -1: the field is needed. */
static mf_status read_word(const mf_value *map, const char *key, const char *(*word)(int at),
                           int fallback, int *ret_at, mf_error *error)
{
    char known[LIST_MAX];
    char shown[64];
    const char *text = "";
    mf_status status = read_text(map, key, sizeof shown, &text, error);
    if (status != MF_OK) {
        return status;
    }
    if (text[0] == '\0' && fallback >= 0) {
        *ret_at = fallback;
        return MF_OK;
    }
    for (int i = 0; word(i) != NULL; i++) {
        if (strcmp(word(i), text) == 0) {
            *ret_at = i;
            return MF_OK;
        }
    }
    list_words(known, word);
    (void)mfi_str_copy_visible(shown, sizeof shown, text, strlen(text));
    return text[0] == '\0'
               ? mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is missing; known: %s", key, known)
               : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s '%s' is not known; known: %s", key,
                          shown, known);
}

static mf_status read_int(const mf_value *map, const char *key, int64_t least, int64_t most,
                          int64_t fallback, int64_t *ret_number, mf_error *error)
{
    const mf_value *value = mf_value_find(map, key);
    *ret_number = fallback;
    if (value == NULL && fallback >= least) {
        return MF_OK;
    }
    if (value == NULL || mf_value_get_int64(value, ret_number) != MF_OK || *ret_number < least ||
        *ret_number > most) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be an integer from %lld to %lld",
                        key, (long long)least, (long long)most);
    }
    return MF_OK;
}

static mf_status read_share(const mf_value *map, double *ret_share, mf_error *error)
{
    const mf_value *value = mf_value_find(map, "share");
    *ret_share = 1;
    if (value != NULL && (mf_value_get_double(value, ret_share) != MF_OK || !(*ret_share >= 0) ||
                          !(*ret_share <= 1))) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "share must be a number from 0 to 1");
    }
    return MF_OK;
}

static mf_status read_names(mfi_admin_line *line, const mf_value *map, bool worker_needed,
                            mf_error *error)
{
    mf_status status = read_name(map, "target", line->target, error);
    if (status == MF_OK) {
        status = read_name(map, "worker", line->worker, error);
    }
    if (status != MF_OK) {
        return status;
    }
    if (line->worker[0] == '\0' && (worker_needed || line->target[0] == '\0')) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is missing",
                        worker_needed ? "worker" : "target or worker");
    }
    return MF_OK;
}

/* ---- Commands ---- */

static mf_status read_log_level(mfi_admin_line *line, const mf_value *map, mf_error *error)
{
    const char *level = "";
    const char *part = "";
    mf_status status = read_text(map, "level", 16, &level, error);
    if (status == MF_OK) {
        status = read_text(map, "part", 64, &part, error);
    }
    if (status == MF_OK && part[0] != '\0' && strcmp(part, "all") != 0) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                          "the log has one level for all its parts; known: all");
    }
    return status == MF_OK ? mf_log_parse_level(level, &line->level, error) : status;
}

static mf_status read_circuit(mfi_admin_line *line, const mf_value *map, mf_error *error)
{
    int order = 0;
    mf_status status = read_word(map, "action", order_word, -1, &order, error);
    line->order = (mfi_circuit_order)order;
    return status == MF_OK ? read_names(line, map, false, error) : status;
}

static mf_status read_drain(mfi_admin_line *line, const mf_value *map, mf_error *error)
{
    int action = 0;
    mf_status status = read_word(map, "action", drain_word, 0, &action, error);
    line->ends = action == 1;
    return status == MF_OK ? read_names(line, map, true, error) : status;
}

static mf_status read_rule(mfi_fault_rule *rule, const mf_value *map, mf_error *error)
{
    int kind = 0;
    int64_t seed = 0;
    int64_t count = 0;
    mf_status status = read_word(map, "kind", kind_word, -1, &kind, error);
    bool waits = kind == MFI_FAULT_DELAY || kind == MFI_FAULT_FREEZE;
    if (status == MF_OK) {
        status = read_name(map, "function", rule->function, error);
    }
    if (status == MF_OK) {
        status = read_share(map, &rule->share, error);
    }
    if (status == MF_OK) {
        status = read_int(map, "delay_ms", waits ? 1 : 0, waits ? DELAY_MOST_MS : 0, waits ? -1 : 0,
                          &rule->delay_ms, error);
    }
    if (status == MF_OK) {
        status = read_int(map, "seed", 0, INT64_MAX, 1, &seed, error);
    }
    if (status == MF_OK) {
        status = read_int(map, "for_ms", 1, LASTS_MOST_MS, LASTS_DEFAULT_MS, &rule->for_ms, error);
    }
    if (status == MF_OK) {
        status = read_int(map, "count", 0, INT64_MAX, 0, &count, error);
    }
    rule->kind = (mfi_fault_kind)kind;
    rule->seed = (uint64_t)seed;
    rule->count = (uint64_t)count;
    return status;
}

static mf_status read_fault(mfi_admin_line *line, const mf_value *map, mf_error *error)
{
    int action = 0;
    mf_status status = read_word(map, "action", fault_word, 0, &action, error);
    line->ends = action == 1;
    if (status == MF_OK) {
        status = read_names(line, map, false, error);
    }
    return status == MF_OK && !line->ends ? read_rule(&line->fault, map, error) : status;
}

/* ---- Lines ---- */

static bool is_known(mfi_admin_command what, const char *key)
{
    if (strcmp(key, "command") == 0) {
        return true;
    }
    for (const char *const *at = mfi_admin_fields(what); *at != NULL; at++) {
        if (strcmp(*at, key) == 0) {
            return true;
        }
    }
    return false;
}

static mf_status check_keys(mfi_admin_command what, const mf_value *map, mf_error *error)
{
    char known[LIST_MAX] = "";
    char shown[64];
    size_t length = 0;
    for (uint32_t i = 0; i < map->length; i++) {
        const mf_value *key = &map->as.items[(size_t)2 * i];
        const char *text = "";
        if (mf_value_get_str(key, &text) == MF_OK && is_known(what, text)) {
            continue;
        }
        for (const char *const *at = mfi_admin_fields(what); *at != NULL; at++) {
            length += mfi_str_format(known + length, sizeof known - length, ", %s", *at);
        }
        (void)mfi_str_copy_visible(shown, sizeof shown, text, strlen(text));
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "the command %s has no field '%s'; known: command%s",
                        mfi_admin_command_word(what), shown, known);
    }
    return MF_OK;
}

static mf_status read_map(mfi_admin_line *line, const mf_value *map, mf_error *error)
{
    int what = 0;
    if (map->type != MF_TYPE_MAP) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "a line must be one JSON object, not %s",
                        mf_type_name((mf_type)map->type));
    }
    mf_status status = read_word(map, "command", command_word, -1, &what, error);
    if (status != MF_OK) {
        return status;
    }
    line->what = (mfi_admin_command)what;
    status = check_keys(line->what, map, error);
    if (status != MF_OK) {
        return status;
    }
    switch (line->what) {
    case MFI_ADMIN_LOG_LEVEL:
        return read_log_level(line, map, error);
    case MFI_ADMIN_CIRCUIT:
        return read_circuit(line, map, error);
    case MFI_ADMIN_DRAIN:
        return read_drain(line, map, error);
    case MFI_ADMIN_RESTART:
        return read_names(line, map, true, error);
    case MFI_ADMIN_FAULT:
        return read_fault(line, map, error);
    case MFI_ADMIN_STATUS:
    case MFI_ADMIN_HELP:
    case MFI_ADMIN_UNKNOWN:
    case MFI_ADMIN_CONNECT:
    case MFI_ADMIN_COMMAND_COUNT:
        break;
    }
    return MF_OK;
}

mf_status mfi_admin_line_read(mfi_admin_line *ret_line, const char *text, size_t length,
                              mf_error *error)
{
    mf_document *document = NULL;
    memset(ret_line, 0, sizeof *ret_line);
    ret_line->what = MFI_ADMIN_UNKNOWN;
    mf_error why;
    mfi_error_clear(&why);
    mf_status status = mf_value_from_json(text, length, &document, &why);
    if (status != MF_OK) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "the line is no JSON object: %s",
                        why.message);
    }
    status = read_map(ret_line, mf_document_root(document), error);
    mf_document_destroy(document);
    return status;
}
