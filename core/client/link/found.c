/* Connect mode: finds a service by its name, and finds it again when it has moved. It exists so
 * that the link needs to know nothing of the registry: what happens to the service becomes an event
 * of the link.
 *
 * Two things can show that a connected service has changed: the registry's file changes, or the
 * connection ends. After both, the registry is read again.
 *
 * A service whose entry is only missing may be about to stop, or another program has lost the
 * entry. So new calls are held back for a moment. A service that stops ends the connection, and no
 * call is lost. A service that is entered again is kept. One that is still connected after the
 * moment is asked whether it is about to stop, if it is one of ours, and kept if it says nothing of
 * that. Other services are kept without a question.
 *
 * A service at a fixed address is found at once, because no registry is asked. Whether the service
 * is there shows when the handshake is complete: the transport tries again until then. */
#include "core/client/link/found.h"

#include "base/error.h"
#include "base/figures.h"
#include "base/str.h"
#include "core/discovery/inside.h"

/* How long calls are held back while the entry is missing, before the service is asked, and between
 * two questions. Chosen: a service of ours is entered again within milliseconds, and one that stops
 * without long calls has closed by then (core/server/run.c). */
#define UNLISTED_MS 1000
#define WRITTEN_PAUSE_MS 5 /* before the next look at a file that a peer writes in place */

static void observe(const mfi_found *found, const mfi_service_event *event)
{
    mfi_observe_service_changed(found->state->observed, event);
}

/* True if the service is at a fixed address. */
static bool is_fixed(const mfi_found *found)
{
    return found->state->settings.endpoint != NULL;
}

static void look_in(mfi_found *found, int64_t delay_ms)
{
    mfi_loop *loop = found->state->loop;
    (void)mfi_timer_set(loop, &found->look_timer,
                        mfi_deadline_after_ms(mfi_loop_now(loop), delay_ms));
}

static void look_later(mfi_found *found)
{
    look_in(found, found->state->settings.discovery_poll_ms);
}

/* The connection decides where no registry tells of changes. */
static bool must_poll(const mfi_found *found)
{
    return !is_fixed(found) && !mfi_view_is_watched(found->view);
}

static mf_status find(const mfi_found *found, mf_service *ret_service,
                      mfi_registry_doubt *ret_doubt, mf_error *error)
{
    if (is_fixed(found)) {
        *ret_doubt = MFI_REGISTRY_SURE;
        ret_service->port = found->state->settings.port;
        return MF_OK;
    }
    return mfi_registry_look(found->view->registry, found->state->settings.service_id, ret_service,
                             ret_doubt, error);
}

/* ---- Finding it ---- */

static void observe_found(mfi_found *found)
{
    const mfi_state *state = found->state;
    uint64_t now = mfi_loop_now(state->loop);
    mfi_figures figures = {0};
    (void)mfi_figures_look(found->service.pid, &figures);
    observe(found, &(mfi_service_event){.what = MFI_SERVICE_FOUND,
                                        .service_id = state->settings.service_id,
                                        .text = found->link->calls->transport->endpoint,
                                        .pid = found->service.pid,
                                        .start_ticks = figures.start_ticks,
                                        .used_ns = figures.cpu_ns,
                                        .gap_ns = found->lost_ns != 0 ? now - found->lost_ns : 0});
    found->lost_ns = 0;
    found->is_told = true;
}

static mf_status connect_to(mfi_found *found, const mf_service *service, mf_error *error)
{
    mfi_state *state = found->state;
    mfi_transport_options options = {.address = state->settings.bind_address,
                                     .port = service->port};
    mf_status status = mfi_calls_open_transport(found->link->calls, &options, error);
    if (status != MF_OK) {
        return status;
    }
    /* The process of a lost service may be about to end: then nothing is found. */
    bool is_again = found->lost_ns != 0 && service->pid == found->service.pid &&
                    service->port == found->service.port;
    found->service = *service;
    found->is_told = false;
    found->stayed = false;
    found->is_missing = false;
    atomic_store_explicit(&state->pid, service->pid, memory_order_relaxed);
    if (!is_fixed(found) && !is_again) {
        observe_found(found);
    }
    if (must_poll(found)) {
        look_later(found);
    }
    return mfi_link_watch(found->link, error);
}

static mf_status begin(void *self, mfi_life_event *ret_event, mf_error *error)
{
    mfi_found *found = self;
    const mfi_parent_settings *settings = &found->state->settings;
    mf_service service = MF_SERVICE_INIT;
    mfi_registry_doubt doubt = MFI_REGISTRY_SURE;
    /* Joined before the file is read, so that no change is missed between the two. */
    if (!is_fixed(found)) {
        mfi_view_join(found->view, &found->subscriber);
    }
    mf_status status = find(found, &service, &doubt, error);
    mfi_vanished_look(&found->vanished, found->state);
    if (status == MF_OK) {
        *ret_event = MFI_LIFE_ON_PEER;
        return connect_to(found, &service, error);
    }
    bool late = mfi_loop_now(found->state->loop) >= found->link->look_until_ns;
    bool may_come = status == MF_ERR_NOT_FOUND || doubt != MFI_REGISTRY_SURE;
    if (found->link->was_ready || (may_come && !late)) {
        *ret_event = MFI_LIFE_ON_NOT_FOUND;
        if (doubt == MFI_REGISTRY_WRITTEN) {
            look_in(found, WRITTEN_PAUSE_MS);
        } else {
            look_later(found);
        }
        return MF_OK;
    }
    if (status == MF_ERR_NOT_FOUND) {
        status = mfi_fail(error, MF_ERR_NOT_FOUND, "Service '%s' not found within %lld ms",
                          settings->service_id, (long long)settings->discovery_timeout_ms);
    }
    return status;
}

/* ---- Losing it ---- */

static void observe_lost(mfi_found *found, const char *why, uint32_t calls)
{
    if (!found->is_told) {
        return;
    }
    found->is_told = false;
    observe(found, &(mfi_service_event){.what = MFI_SERVICE_LOST,
                                        .service_id = found->state->settings.service_id,
                                        .text = why,
                                        .pid = found->service.pid,
                                        .pending_failed = calls});
}

/* A service that leaves gives up its name before it closes. At a fixed address there is no name,
 * and only calls that the loss ended tell a crash from a stop. */
static void note_vanished(mfi_found *found, const char *why, const mfi_claimed *claimed)
{
    const char *id = found->state->settings.service_id;
    bool has_crashed =
        is_fixed(found) ? claimed->calls > 0
                        : mfi_registry_entered_pid(found->view->registry, id) == found->service.pid;
    if (has_crashed) {
        mfi_vanished_note(&found->vanished, found->state, is_fixed(found) ? 0 : found->service.pid,
                          why, claimed);
    }
}

/* still_there: the entry of the service is unchanged. Its process may be about to end, so the next
 * connection is made a little later. */
static void lost(mfi_found *found, const char *why, bool still_there)
{
    mfi_link *link = found->link;
    mfi_loss loss = {0};
    found->lost_ns = mfi_loop_now(found->state->loop);
    mfi_state_note_lost(found->state, why, found->service.pid);
    if (link->was_ready) {
        bool has_left = link->phase == MFI_LIFE_UNLISTED;
        loss = mfi_link_lost_connection(link, why);
        loss.is_orderly = has_left && loss.claimed.calls == 0;
    } else { /* the first start continues to look for it */
        link->wait_ns = 0;
    }
    if (still_there) {
        link->wait_ns = mfi_deadline_after_ms(0, found->state->settings.discovery_poll_ms);
    }
    observe_lost(found, why, loss.claimed.calls);
    if (link->ready_ns != 0) {
        note_vanished(found, why, &loss.claimed);
    }
    if (link->was_ready) {
        mfi_link_close_lost(link, &loss);
    } else {
        mfi_link_step(link, MFI_LIFE_ON_OVER_AGAIN);
    }
}

/* Another service has the name, or a silent one has lost it; the connection is open. Calls that
 * were sent before are waited for. */
static void leaving(mfi_found *found, const char *why)
{
    found->lost_ns = mfi_loop_now(found->state->loop);
    mfi_state_note_lost(found->state, why, found->service.pid);
    observe_lost(found, why, 0);
    mfi_link_step(found->link, MFI_LIFE_ON_LEAVES);
}

static bool is_running(const mfi_link *link)
{
    return link->phase == MFI_LIFE_RUNNING || link->phase == MFI_LIFE_UNLISTED;
}

/* The entry of a service that answers is gone, or of one that does not answer yet. */
static void missing(mfi_found *found)
{
    mfi_loop *loop = found->state->loop;
    found->is_missing = true;
    if (found->link->phase == MFI_LIFE_RUNNING && !found->stayed) {
        uint64_t now = mfi_loop_now(loop);
        found->hold_until_ns =
            mfi_deadline_after_ms(now, found->state->settings.discovery_timeout_ms);
        (void)mfi_timer_set(loop, &found->stay_timer, mfi_deadline_after_ms(now, UNLISTED_MS));
        mfi_link_step(found->link, MFI_LIFE_ON_MISSING);
    }
}

/* stayed: without an entry, which may be missing for a long time. */
static void stays(mfi_found *found, bool stayed)
{
    found->stayed = stayed;
    found->is_missing = stayed;
    mfi_timer_cancel(found->state->loop, &found->stay_timer);
    if (found->link->phase == MFI_LIFE_UNLISTED) {
        mfi_link_step(found->link, MFI_LIFE_ON_STAYS);
    }
}

/* The service answers for the first time. */
static void ready(void *self)
{
    mfi_found *found = self;
    mfi_vanished_answered(&found->vanished, found->state);
    if (!found->is_told) {
        observe_found(found);
    }
    if (found->is_missing) { /* since the connection was begun */
        missing(found);
    }
}

/* A service that answers heartbeats while it works would answer a question too. */
static bool can_be_asked(const mfi_found *found)
{
    const mfi_signs *signs = &found->link->calls->signs;
    return mfi_loop_now(found->state->loop) < found->hold_until_ns &&
           atomic_load_explicit(&signs->says_busy, memory_order_relaxed);
}

static void on_stay(mfi_timer *timer)
{
    mfi_found *found = MFI_CONTAINER(timer, mfi_found, stay_timer);
    mfi_loop *loop = found->state->loop;
    if (found->link->phase == MFI_LIFE_UNLISTED && can_be_asked(found)) {
        mfi_heartbeat_send_past(found->link->heartbeat);
        (void)mfi_timer_set(loop, &found->stay_timer,
                            mfi_deadline_after_ms(mfi_loop_now(loop), UNLISTED_MS));
    } else {
        stays(found, true);
    }
}

/* The answer to the question. */
static void told(void *self)
{
    mfi_found *found = self;
    const mfi_signs *signs = &found->link->calls->signs;
    if (found->link->phase == MFI_LIFE_UNLISTED &&
        !atomic_load_explicit(&signs->says_draining, memory_order_relaxed)) {
        stays(found, true);
    }
}

/* The service has changed, or its connection has ended. */
static void changed(mfi_found *found, const char *why, bool disconnected, bool still_there)
{
    mfi_link *link = found->link;
    if (link->phase == MFI_LIFE_STARTING ||
        (is_running(link) && (disconnected || link->connections == 0))) {
        lost(found, why, still_there);
    } else if (is_running(link)) {
        leaving(found, why);
    } else if (disconnected) { /* the service is already being drained */
        mfi_link_step(link, MFI_LIFE_ON_PEER_GONE);
    }
}

/* True if the connection decides alone: the registry says nothing of a service that answers. */
static bool is_kept(const mfi_found *found, mf_status status, bool in_doubt)
{
    const mfi_link *link = found->link;
    bool is_unknown = status == MF_ERR_NOT_FOUND && !in_doubt;
    bool is_connected =
        link->connections > 0 && (is_running(link) || link->phase == MFI_LIFE_STARTING);
    return !is_unknown || (is_connected && !mfi_heartbeat_is_frozen(link->heartbeat));
}

/* status: of the reading of the registry; MF_OK: the name has another service now. */
static void explain(const mfi_found *found, mf_status status, bool in_doubt, const mf_service *now,
                    const char *text, char why[MFI_EXIT_TEXT_MAX])
{
    const char *endpoint = found->link->calls->transport->endpoint;
    if (status == MF_OK) {
        (void)mfi_str_format(why, MFI_EXIT_TEXT_MAX, "moved to port %u (pid %lld)",
                             (unsigned)now->port, (long long)now->pid);
    } else if (status == MF_ERR_NOT_FOUND && !in_doubt) {
        (void)mfi_str_format(why, MFI_EXIT_TEXT_MAX, "is no longer registered: %.160s", text);
    } else {
        (void)mfi_str_format(why, MFI_EXIT_TEXT_MAX,
                             "closed the connection to %s, and the registry cannot be read now: "
                             "%.160s",
                             endpoint, text);
    }
}

static void check(void *self, bool disconnected)
{
    mfi_found *found = self;
    char why[MFI_EXIT_TEXT_MAX];
    mf_error error;
    mf_service now = MF_SERVICE_INIT;
    mfi_registry_doubt doubt = MFI_REGISTRY_SURE;
    mfi_life_phase phase = found->link->phase;
    mfi_error_clear(&error);
    if (phase != MFI_LIFE_STARTING && !is_running(found->link) && phase != MFI_LIFE_HOLDING &&
        phase != MFI_LIFE_HOLDING_GONE && phase != MFI_LIFE_DRAINING) {
        return;
    }
    if (must_poll(found)) { /* the folder may be there again */
        mfi_view_join(found->view, &found->subscriber);
    }
    mf_status status = find(found, &now, &doubt, &error);
    bool in_doubt = doubt != MFI_REGISTRY_SURE;
    bool same = status == MF_OK && now.pid == found->service.pid && now.port == found->service.port;
    if (!disconnected && (same || (status != MF_OK && is_kept(found, status, in_doubt)))) {
        if (doubt == MFI_REGISTRY_WRITTEN || must_poll(found)) {
            look_later(found);
        }
        if (same) {
            stays(found, false);
        } else if (status == MF_ERR_NOT_FOUND && !in_doubt) {
            missing(found);
        }
        return;
    }
    if (same) {
        (void)mfi_str_format(why, sizeof why, "closed the connection to %s",
                             found->link->calls->transport->endpoint);
    } else {
        explain(found, status, in_doubt, &now, error.message, why);
    }
    changed(found, why, disconnected, same);
}

static void on_look(mfi_timer *timer)
{
    mfi_found *found = MFI_CONTAINER(timer, mfi_found, look_timer);
    if (found->link->phase == MFI_LIFE_LOOKING) {
        mfi_link_step(found->link, MFI_LIFE_ON_DUE);
    } else {
        check(found, false);
    }
}

static void on_view_changed(mfi_view_subscriber *subscriber)
{
    mfi_found *found = MFI_CONTAINER(subscriber, mfi_found, subscriber);
    /* Soon, but not while the view calls its subscribers. */
    if (found->link->phase == MFI_LIFE_LOOKING) {
        (void)mfi_timer_set(found->state->loop, &found->look_timer, found->link->began_ns);
    } else {
        check(found, false);
    }
}

/* ---- Its end ---- */

/* A service is not ended: the parent only disconnects. */
static void end(void *self, bool by_message)
{
    mfi_found *found = self;
    (void)by_message;
    mfi_link_step(found->link, MFI_LIFE_ON_ENDED);
}

static void close_found(void *self)
{
    mfi_found *found = self;
    mfi_timer_cancel(found->state->loop, &found->look_timer);
    mfi_timer_cancel(found->state->loop, &found->stay_timer);
    mfi_vanished_look(&found->vanished, found->state);
}

const mfi_peer_ops mfi_found_ops = {
    .begin = begin, .ready = ready, .told = told, .end = end, .close = close_found, .check = check};

mf_status mfi_found_init(mfi_found *found, mfi_link *link, mfi_state *state, mf_error *error)
{
    found->link = link;
    found->state = state;
    found->subscriber.changed = on_view_changed;
    mfi_timer_init(&found->look_timer, on_look);
    mfi_timer_init(&found->stay_timer, on_stay);
    if (state->settings.service_id == NULL) {
        return MF_OK;
    }
    return mfi_view_take(&found->view, state->runtime, state->settings.registry_directory, error);
}

static void leave(void *argument)
{
    mfi_found *found = argument;
    mfi_view_leave(found->view, &found->subscriber);
    found->view = NULL;
}

void mfi_found_fini(mfi_found *found)
{
    if (found->view != NULL) {
        mfi_loop_call(found->state->loop, leave, found);
    }
}
