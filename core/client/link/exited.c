/* What the end of a worker's process means: a failed start, an end that was asked for, or a loss,
 * and in each case the reason. It exists apart from spawned.c, which sees that the process has
 * ended. */
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/link/spawned.h"
#include "core/process/figures.h"

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

/* A process that was not ready yet is not lost. Its start has failed. */
static void start_ended(mfi_spawned *spawned, const mfi_exit *ended, const char *text, bool by_us)
{
    char why[MFI_EXIT_TEXT_MAX];
    mf_error error;
    mfi_restart_reason reason = MFI_RESTART_START_TIMEOUT;
    mfi_error_clear(&error);
    if (by_us) {
        mfi_state_copy_exit_text(spawned->state, why);
        bool silent = !spawned->reported && spawned->link->failure == MF_ERR_START_TIMEOUT;
        (void)mfi_fail(&error, spawned->link->failure, "%s%s", why,
                       silent ? ": the helper multifrost-exec did not report" : "");
    } else {
        reason = start_error(spawned, ended, text, &error);
    }
    mfi_state_explain(spawned->state, error.message, MFI_EXPLAINED_MAX);
    mfi_link_start_failed(spawned->link, &error, reason);
}

static void note_exit(mfi_state *state, const mfi_exit *ended, const char *text)
{
    mfi_mutex_lock(&state->mutex);
    state->last_exit = *ended;
    (void)mfi_str_copy(state->last_exit_text, sizeof state->last_exit_text, text);
    mfi_mutex_unlock(&state->mutex);
}

/* ---- Reports ---- */

/* A process that was there: its end is logged and counted. why is NULL unless the link killed it.
 * loss is NULL unless the end was a crash. */
static void observe_exit(mfi_spawned *spawned, const mfi_exit *ended, const char *text,
                         const char *why, bool expected, const mfi_loss *loss)
{
    mfi_remains remains = {0};
    if (loss != NULL) {
        remains = mfi_link_remains(spawned->link);
        remains.calls = loss->claimed.ended.list;
        remains.named = loss->claimed.ended.named;
        remains.user_us = ended->user_us;
        remains.system_us = ended->system_us;
        remains.max_rss_kib = ended->max_rss_kib;
    }
    if (spawned->reported) {
        observe(spawned,
                &(mfi_process_event){
                    .what = MFI_PROCESS_EXITED,
                    .pid = spawned->process.pid,
                    .used_ns = (uint64_t)(ended->user_us + ended->system_us) * 1000,
                    .expected = expected,
                    .exit_known = ended->known,
                    .exit_code = ended->code,
                    .signal = ended->signal,
                    .text = why != NULL ? why : text,
                    .reason = why != NULL ? spawned->link->unfit.restart : MFI_RESTART_NONE,
                    .pending_failed = loss != NULL ? loss->claimed.calls : 0,
                    .remains = loss != NULL ? &remains : NULL});
    }
}

void mfi_spawned_exited(mfi_spawned *spawned, const mfi_exit *ended)
{
    char text[MFI_EXIT_TEXT_MAX];
    char why[MFI_EXIT_TEXT_MAX];
    mfi_loss loss = {0};
    mfi_life_phase phase = spawned->link->phase;
    bool killed = is_killed(spawned);
    bool aborted = phase == MFI_LIFE_ABORTING || phase == MFI_LIFE_ABORTING_AGAIN;
    bool asked = phase == MFI_LIFE_STOPPING || phase == MFI_LIFE_REPLACING;
    bool crash = !aborted && !asked && phase != MFI_LIFE_STARTING;
    (void)mfi_exit_text(text, sizeof text, ended);
    mfi_output_exited(&spawned->link->calls->output);
    mfi_spawned_report_start(spawned);
    if (spawned->reported) {
        note_exit(spawned->state, ended, text);
    }
    if (crash) {
        loss = crashed(spawned, ended, why);
    }
    observe_exit(spawned, ended, text, killed && crash ? why : NULL, aborted || asked,
                 crash ? &loss : NULL);
    mfi_target_end_segment(spawned->state->observed);
    if (crash) {
        mfi_link_close_lost(spawned->link, &loss);
    } else if (asked) {
        mfi_link_step(spawned->link, MFI_LIFE_ON_ENDED);
    } else {
        start_ended(spawned, ended, text, aborted);
    }
}
