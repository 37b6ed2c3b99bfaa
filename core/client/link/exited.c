/* What the end of a worker's process means: a failed start, an end that was asked for, or a loss,
 * and in each case the reason. It exists apart from spawned.c, which sees that the process has
 * ended. */
#include <string.h>

#include "base/error.h"
#include "base/figures.h"
#include "base/str.h"
#include "core/client/link/spawned.h"
#include "core/process/core_dump.h"

static void observe(const mfi_spawned *spawned, const mfi_process_event *event)
{
    mfi_observe_process_changed(spawned->state->observed, event);
}

void mfi_spawned_report_start(mfi_spawned *spawned)
{
    int64_t pid = spawned->process.pid;
    if (!spawned->reported && pid > 0) {
        mfi_figures figures = {0};
        /* A process that has ended may have left its pid to a stranger, which is no child of the
         * helper. */
        bool is_worker = mfi_figures_look(pid, &figures) &&
                         figures.parent == (int64_t)spawned->process.helper_pid;
        spawned->reported = true;
        spawned->reported_ns = mfi_loop_now(spawned->state->loop);
        atomic_store_explicit(&spawned->state->pid, pid, memory_order_relaxed);
        observe(spawned, &(mfi_process_event){.what = MFI_PROCESS_SPAWNED,
                                              .context = &spawned->link->start_span,
                                              .pid = pid,
                                              .start_ticks = is_worker ? figures.start_ticks : 0});
    }
}

/* ---- Reasons ---- */

static mfi_restart_reason reason_of(const mfi_exit *ended)
{
    return ended->signal != 0 ? MFI_RESTART_SIGNAL
           : ended->code == 0 ? MFI_RESTART_EXIT_OK
                              : MFI_RESTART_EXIT_ERROR;
}

/* What a process that ended by itself says to the circuit: "killed by signal 9 (SIGKILL)", or "exit
 * code 3". */
static mfi_unfit cause_of(const mfi_exit *ended)
{
    int number = ended->signal != 0 ? ended->signal : ended->code;
    mfi_unfit cause = {.restart = reason_of(ended),
                       .reason = {.rule = MFI_RULE_EXIT,
                                  .observed = (double)number,
                                  .status = MF_ERR_WORKER_EXITED}};
    if (ended->known && ended->signal == 0) {
        (void)mfi_str_format(cause.reason.text, sizeof cause.reason.text, "exit code %d", number);
    } else {
        char text[MFI_EXIT_TEXT_MAX];
        (void)mfi_exit_text(text, sizeof text, ended);
        bool was = strncmp(text, "was ", 4) == 0;
        (void)mfi_str_copy(cause.reason.text, sizeof cause.reason.text, was ? text + 4 : text);
    }
    return cause;
}

static bool is_killed(const mfi_spawned *spawned)
{
    mfi_life_phase phase = spawned->link->phase;
    return phase == MFI_LIFE_KILLING || phase == MFI_LIFE_KILLING_AGAIN;
}

/* The process ended by itself, or the link ended it: then the exit says nothing, and the cause was
 * told before. why gets the cause in words. */
static mfi_loss crashed(mfi_spawned *spawned, const mfi_exit *ended, char why[MFI_EXIT_TEXT_MAX])
{
    mfi_unfit cause = spawned->link->unfit;
    if (is_killed(spawned)) {
        mfi_state_copy_exit_text(spawned->state, why);
    } else {
        cause = cause_of(ended);
        (void)mfi_exit_text(why, MFI_EXIT_TEXT_MAX, ended);
    }
    return mfi_link_lost(spawned->link, why, &cause);
}

/* Why a start failed that nobody ended: the helper's reason, or how the worker ended. */
static mfi_restart_reason start_error(mfi_spawned *spawned, const mfi_exit *ended, const char *text,
                                      mf_error *error)
{
    const mfi_parent_settings *settings = &spawned->state->settings;
    if (spawned->process.failed.what != 0) {
        (void)mfi_process_failure(&spawned->process, settings->program, settings->working_directory,
                                  error);
        return MFI_RESTART_START_TIMEOUT;
    }
    if (!spawned->reported) {
        (void)mfi_fail(error, MF_ERR_START_FAILED,
                       "cannot start '%s': the helper multifrost-exec did not report: it %s",
                       settings->program, text);
        return MFI_RESTART_START_TIMEOUT;
    }
    (void)mfi_fail(error, MF_ERR_START_FAILED, "worker '%s' ended before it was ready: it %s",
                   settings->worker, text);
    return reason_of(ended);
}

/* Why the start of a process failed that was not ready yet. The worker is not lost. */
static mfi_restart_reason failed_start(mfi_spawned *spawned, const mfi_exit *ended,
                                       const char *text, bool by_us, mf_error *error)
{
    char why[MFI_EXIT_TEXT_MAX];
    mfi_restart_reason reason = MFI_RESTART_START_TIMEOUT;
    if (by_us) {
        mfi_state_copy_exit_text(spawned->state, why);
        bool silent = !spawned->reported && spawned->link->failure == MF_ERR_START_TIMEOUT;
        (void)mfi_fail(error, spawned->link->failure, "%s%s", why,
                       silent ? ": the helper multifrost-exec did not report" : "");
    } else {
        reason = start_error(spawned, ended, text, error);
    }
    mfi_state_explain(spawned->state, error->message, MFI_EXPLAINED_MAX);
    return reason;
}

static void note_exit(mfi_state *state, const mfi_exit *ended, const char *text)
{
    mfi_mutex_lock(&state->mutex);
    state->last_exit = *ended;
    (void)mfi_str_copy(state->last_exit_text, sizeof state->last_exit_text, text);
    mfi_mutex_unlock(&state->mutex);
}

/* ---- Reports ---- */

/* The end of a process, and what its reports need beside that. */
typedef struct end {
    const mfi_exit *exit;
    const char *text;        /* the exit in words */
    const char *why;         /* why the link killed it; NULL: the link did not */
    const mfi_claimed *lost; /* the calls that ended with it; NULL: none */
    bool expected;
    bool again; /* another start follows */
} end;

/* What the process left behind. The observer adds what the worker itself wrote down. */
static mfi_remains remains_of(mfi_spawned *spawned, const end *at)
{
    mfi_remains remains = mfi_link_remains(spawned->link);
    if (at->lost != NULL) {
        remains.calls = at->lost->ended.list;
        remains.named = at->lost->ended.named;
    }
    remains.user_us = at->exit->user_us;
    remains.system_us = at->exit->system_us;
    remains.max_rss_kib = at->exit->max_rss_kib;
    return remains;
}

/* A process that was there: its end is logged and counted. */
static void observe_exit(mfi_spawned *spawned, const end *at)
{
    const mfi_link *link = spawned->link;
    char pattern[MFI_CORE_PATTERN_MAX] = "";
    mfi_remains remains;
    mfi_process_event event = {.what = MFI_PROCESS_EXITED,
                               .pid = spawned->process.pid,
                               .used_ns =
                                   (uint64_t)(at->exit->user_us + at->exit->system_us) * 1000,
                               .expected = at->expected,
                               .exit_known = at->exit->known,
                               .exit_code = at->exit->code,
                               .signal = at->exit->signal,
                               .text = at->why != NULL ? at->why : at->text,
                               .reason = at->why != NULL ? link->unfit.restart : MFI_RESTART_NONE,
                               .pending_failed = at->lost != NULL ? at->lost->calls : 0};
    if (!spawned->reported) {
        mfi_target_end_segment(spawned->state->observed);
        return;
    }
    if (!at->expected) {
        remains = remains_of(spawned, at);
        event.remains = &remains;
        event.was_ready = link->ready_ns != 0;
        event.dumped_core = at->exit->dumped;
        event.uptime_ns = mfi_loop_now(spawned->state->loop) - spawned->reported_ns;
        mfi_link_add_next(link, at->again, &event);
    }
    if (!at->expected && mfi_core_is_due(at->exit->signal)) {
        mfi_core_pattern(pattern);
        event.core_pattern = mfi_str_or_null(pattern);
    }
    observe(spawned, &event);
    mfi_target_end_segment(spawned->state->observed);
}

/* The process ended after it was ready, and nobody had asked for that. */
static void end_crash(mfi_spawned *spawned, const mfi_exit *ended, const char *text)
{
    char why[MFI_EXIT_TEXT_MAX];
    bool killed = is_killed(spawned);
    mfi_loss loss = crashed(spawned, ended, why);
    observe_exit(spawned, &(end){.exit = ended,
                                 .text = text,
                                 .why = killed ? why : NULL,
                                 .lost = &loss.claimed,
                                 .again = loss.again});
    mfi_link_close_lost(spawned->link, &loss);
}

static void end_start(mfi_spawned *spawned, const mfi_exit *ended, const char *text, bool by_us)
{
    mf_error error;
    mfi_error_clear(&error);
    mfi_restart_reason reason = failed_start(spawned, ended, text, by_us, &error);
    bool again = mfi_link_judge_start(spawned->link, &error, reason);
    observe_exit(spawned, &(end){.exit = ended, .text = text, .expected = by_us, .again = again});
    mfi_link_close_start(spawned->link, &error, again);
}

void mfi_spawned_exited(mfi_spawned *spawned, const mfi_exit *ended)
{
    char text[MFI_EXIT_TEXT_MAX];
    mfi_life_phase phase = spawned->link->phase;
    bool aborted = phase == MFI_LIFE_ABORTING || phase == MFI_LIFE_ABORTING_AGAIN;
    (void)mfi_exit_text(text, sizeof text, ended);
    mfi_output_exited(&spawned->link->calls->output);
    mfi_spawned_report_start(spawned);
    if (spawned->reported) {
        note_exit(spawned->state, ended, text);
    }
    if (phase == MFI_LIFE_STOPPING || phase == MFI_LIFE_REPLACING) {
        observe_exit(spawned, &(end){.exit = ended, .text = text, .expected = true});
        mfi_link_step(spawned->link, MFI_LIFE_ON_ENDED);
    } else if (aborted || phase == MFI_LIFE_STARTING) {
        end_start(spawned, ended, text, aborted);
    } else {
        end_crash(spawned, ended, text);
    }
}
