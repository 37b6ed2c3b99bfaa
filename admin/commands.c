/* Carries out the commands of an admin socket. It exists so that every change goes one way: it is
 * made, logged with who made it, counted, and told in the answer. */
#include "admin/commands.h"

#include <string.h>

#include "admin/client.h"
#include "admin/line.h"
#include "admin/process.h"
#include "base/error.h"
#include "base/str.h"
#include "logging/logger.h"

#define SHOWN_MOST 100    /* workers that one answer names */
#define SHOWN_BYTES 24576 /* of them, beyond which no further one is named */

/* ---- Answers ---- */

static void append_text(mfi_buf *out, const char *text)
{
    mfi_buf_append_byte(out, '"');
    mfi_str_append_json(out, text, strlen(text));
    mfi_buf_append_byte(out, '"');
}

static void append_member(mfi_buf *out, const char *key, const char *text)
{
    if (text != NULL) {
        mfi_buf_printf(out, ",\"%s\":", key);
        append_text(out, text);
    }
}

static void begin_answer(mfi_buf *out, bool ok, const char *command)
{
    mfi_buf_printf(out, "{\"schema\":\"" MFI_ADMIN_SCHEMA "\",\"ok\":%s", ok ? "true" : "false");
    append_member(out, "command", command);
}

void mfi_admin_refuse(mfi_buf *out, const char *why)
{
    begin_answer(out, false, NULL);
    append_member(out, "error", why);
    mfi_buf_append_str(out, "}\n");
}

/* ---- Workers ---- */

/* What a command did so far. */
typedef struct deeds {
    mf_runtime *runtime;
    const mfi_admin_asker *asker;
    bool only_names; /* the workers are listed, not changed */
    uint64_t done, refused;
    char why[MFI_COMMAND_TEXT_MAX]; /* of the first that was refused */
    mfi_buf list;                   /* JSON */
} deeds;

static void log_change(const deeds *at, const mfi_config_change *from)
{
    mfi_config_change change = *from;
    change.uid = at->asker->uid;
    change.pid = at->asker->pid;
    mfi_observe_config_change(at->runtime->observer, &change);
}

static void on_seen(const mfi_command_effect *effect, void *user_data)
{
    deeds *at = user_data;
    if (effect->refused != NULL && at->refused++ == 0) {
        (void)mfi_str_copy(at->why, sizeof at->why, effect->refused);
    }
    at->done += effect->refused == NULL;
    if (at->done + at->refused <= SHOWN_MOST && at->list.size < SHOWN_BYTES) {
        mfi_buf_append_str(&at->list, at->list.size > 0 ? ",{\"target\":" : "{\"target\":");
        append_text(&at->list, effect->target);
        append_member(&at->list, "worker", effect->worker);
        append_member(&at->list, at->only_names ? "state" : "from", effect->from);
        append_member(&at->list, "to", effect->to);
        append_member(&at->list, "refused", effect->refused);
        mfi_buf_append_byte(&at->list, '}');
    }
    if (!at->only_names && effect->refused == NULL) {
        log_change(at, &(mfi_config_change){.setting = effect->setting,
                                            .target = effect->target,
                                            .worker = effect->worker,
                                            .from = effect->from,
                                            .to = effect->to});
    }
}

static void deeds_init(deeds *at, mf_runtime *runtime, const mfi_admin_asker *asker)
{
    memset(at, 0, sizeof *at);
    at->runtime = runtime;
    at->asker = asker;
    mfi_buf_init(&at->list, MFI_ADMIN_OUT_MAX / 2);
}

static void append_list(mfi_buf *out, const char *key, const mfi_buf *list)
{
    mfi_buf_printf(out, ",\"%s\":[", key);
    if (list->size > 0 && !list->failed) {
        mfi_buf_append(out, list->data, list->size);
    }
    mfi_buf_append_byte(out, ']');
}

static void append_workers(mf_runtime *runtime, const mfi_admin_asker *asker, mfi_buf *out)
{
    deeds known;
    deeds_init(&known, runtime, asker);
    known.only_names = true;
    mfi_runtime_command(runtime, &(mfi_command){.what = MFI_ADMIN_STATUS}, on_seen, &known);
    append_list(out, "workers", &known.list);
    mfi_buf_fini(&known.list);
}

static bool tell_unknown(mf_runtime *runtime, const mfi_admin_asker *asker,
                         const mfi_admin_line *line, mfi_buf *out)
{
    char why[MFI_COMMAND_TEXT_MAX + 2 * MFI_COMMAND_NAME_MAX];
    bool both = line->worker[0] != '\0' && line->target[0] != '\0';
    (void)mfi_str_format(why, sizeof why, "this process has no %s%s%s%s%s",
                         line->worker[0] != '\0' ? "worker '" : "target '",
                         line->worker[0] != '\0' ? line->worker : line->target,
                         both ? "' of target '" : "'", both ? line->target : "", both ? "'" : "");
    begin_answer(out, false, mfi_admin_command_word(line->what));
    append_member(out, "error", why);
    append_workers(runtime, asker, out);
    mfi_buf_append_str(out, "}\n");
    return false;
}

/* Returns whether any worker did it. */
static bool command_workers(mf_runtime *runtime, const mfi_admin_asker *asker,
                            const mfi_admin_line *line, mfi_buf *out)
{
    deeds at;
    mfi_command command = {.what = line->what,
                           .target = mfi_str_or_null(line->target),
                           .worker = mfi_str_or_null(line->worker),
                           .order = line->order,
                           .ends = line->ends,
                           .fault = &line->fault};
    deeds_init(&at, runtime, asker);
    mfi_runtime_command(runtime, &command, on_seen, &at);
    if (at.done + at.refused == 0) {
        mfi_buf_fini(&at.list);
        return tell_unknown(runtime, asker, line, out);
    }
    begin_answer(out, at.done > 0, mfi_admin_command_word(line->what));
    append_member(out, "error", at.done == 0 ? at.why : NULL);
    mfi_buf_printf(out, ",\"changed\":%llu,\"refused\":%llu", (unsigned long long)at.done,
                   (unsigned long long)at.refused);
    append_list(out, "workers", &at.list);
    mfi_buf_append_str(out, "}\n");
    mfi_buf_fini(&at.list);
    return at.done > 0;
}

/* ---- The process ---- */

static bool set_log_level(mf_runtime *runtime, const mfi_admin_asker *asker,
                          const mfi_admin_line *line, mfi_buf *out)
{
    deeds at = {.runtime = runtime, .asker = asker};
    const char *from = mfi_level_word(mf_log_get_level(runtime->logger));
    const char *to = mfi_level_word(line->level);
    mfi_config_change change = {.setting = "log_level", .from = from, .to = to};
    /* Whichever of the two levels shows the record. */
    if (line->level > MF_LOG_INFO) {
        log_change(&at, &change);
    }
    mf_log_set_level(runtime->logger, line->level);
    if (line->level <= MF_LOG_INFO) {
        log_change(&at, &change);
    }
    mfi_runtime_config_changed(runtime);
    begin_answer(out, true, "log_level");
    append_member(out, "part", "all");
    append_member(out, "from", from);
    append_member(out, "to", to);
    mfi_buf_append_str(out, "}\n");
    return true;
}

static void tell_status(mf_runtime *runtime, const mfi_admin_asker *asker, mfi_buf *out)
{
    begin_answer(out, true, "status");
    append_member(out, "service", runtime->service);
    append_member(out, "instance", runtime->instance);
    append_member(out, "log_level", mfi_level_word(mf_log_get_level(runtime->logger)));
    mfi_buf_printf(out, ",\"fault_injection\":%s", runtime->fault_injection ? "true" : "false");
    mfi_admin_append_process(out);
    append_workers(runtime, asker, out);
    mfi_buf_append_str(out, "}\n");
}

static void tell_help(mfi_buf *out)
{
    begin_answer(out, true, "help");
    mfi_buf_append_str(out, ",\"commands\":{");
    for (int what = 0; what < MFI_ADMIN_UNKNOWN; what++) {
        mfi_buf_printf(out, "%s\"%s\":[", what > 0 ? "," : "",
                       mfi_admin_command_word((mfi_admin_command)what));
        const char *const *fields = mfi_admin_fields((mfi_admin_command)what);
        for (size_t i = 0; fields[i] != NULL; i++) {
            mfi_buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", fields[i]);
        }
        mfi_buf_append_byte(out, ']');
    }
    mfi_buf_append_str(out, "}}\n");
}

/* ---- All ---- */

static bool obey_line(mf_runtime *runtime, const mfi_admin_asker *asker, const mfi_admin_line *line,
                      mfi_buf *out)
{
    switch (line->what) {
    case MFI_ADMIN_LOG_LEVEL:
        return set_log_level(runtime, asker, line, out);
    case MFI_ADMIN_CIRCUIT:
    case MFI_ADMIN_DRAIN:
    case MFI_ADMIN_RESTART:
    case MFI_ADMIN_FAULT:
        return command_workers(runtime, asker, line, out);
    case MFI_ADMIN_STATUS:
        tell_status(runtime, asker, out);
        return true;
    case MFI_ADMIN_HELP:
        tell_help(out);
        return true;
    case MFI_ADMIN_UNKNOWN:
    case MFI_ADMIN_CONNECT:
    case MFI_ADMIN_COMMAND_COUNT:
        break;
    }
    return false;
}

void mfi_admin_obey(mf_runtime *runtime, const mfi_admin_asker *asker, const char *text,
                    size_t length, mfi_buf *out)
{
    mfi_admin_line line;
    mf_error error;
    mfi_error_clear(&error);
    line.what = MFI_ADMIN_UNKNOWN;
    mf_status status = text != NULL ? mfi_admin_line_read(&line, text, length, &error)
                                    : mfi_fail(&error, MF_ERR_LIMIT, "a line has at most %zu bytes",
                                               MFI_ADMIN_LINE_MAX);
    bool ok = false;
    if (status == MF_OK) {
        ok = obey_line(runtime, asker, &line, out);
    } else {
        mfi_admin_refuse(out, error.message);
    }
    mfi_observe_admin_command(runtime->observer, line.what, ok ? MFI_ADMIN_OK : MFI_ADMIN_ERROR);
    if (out->failed) { /* the answer is too long: what was asked for is done */
        mfi_buf_clear(out);
        begin_answer(out, ok, mfi_admin_command_word(line.what));
        append_member(out, "note", "the answer is too long to be shown");
        mfi_buf_append_str(out, "}\n");
    }
}
